/* Shared by edge.c and flow.c only. */
#ifndef TA_FLOW_INTERNAL_H
#define TA_FLOW_INTERNAL_H

#include "flow/flow.h"

struct ta_edge {
    ta_queue *queue;
    bool packets;
    const ta_cancel *cancel; /* of the flow: a held job stops where frames are given on */
    ta_edge *next;           /* all edges of a flow */
};

ta_edge *ta_edge_new(bool packets, int max_items, size_t max_bytes);
void ta_edge_free(ta_edge **e);

#endif
