/* From one layer of ncnn's file to nodes of the graph. Private to the import. */
#ifndef TA_NEURAL_NCNN_LAYERS_H
#define TA_NEURAL_NCNN_LAYERS_H

#include "neural/ncnn_read.h"

/* Adds r->layer to r->graph, reading its weights. TA_ERR_UNAVAILABLE: a layer or parameter that isn't known. */
int ta_ncnn_build(ta_ncnn_reader *r);

#endif
