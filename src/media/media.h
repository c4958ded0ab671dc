/* media: our thin layer over libav. Opening, probing, time, colour, aspect, decoding, encoding, muxing, hashing reads.
 * Knows base only (and libav). This is the one header that other folders include.
 *
 * Time: an int64 PTS with its time base, from the source to the file. Microseconds only where people see them. */
#ifndef TA_MEDIA_MEDIA_H
#define TA_MEDIA_MEDIA_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/channel_layout.h>
#include <libavutil/frame.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>

#include "base/base.h"

/* A libav error number as a sentence in `err`: AVERROR(ENOSPC) -> TA_ERR_AGAIN, AVERROR(ENOMEM) -> TA_ERR_AGAIN,
 * AVERROR_EXIT -> TA_ERR_CANCELLED, AVERROR(EIO) -> TA_ERR_IO, else `code`. Returns the code set. */
int ta_fail_av(ta_error *err, int averror, ta_status code, const char *fmt, ...) TA_PRINTF(4, 5);

/* ---- What a video stream is ------------------------------------------------------------------------------------ */

typedef enum ta_field_order { TA_FIELDS_UNKNOWN, TA_FIELDS_PROGRESSIVE, TA_FIELDS_TFF, TA_FIELDS_BFF } ta_field_order;

/* Facts of a video link: of a source stream, or of the frames between two stages. */
typedef struct ta_video_format {
    int width, height;
    enum AVPixelFormat pix_fmt;
    AVRational sar;        /* 0/1 = unknown */
    AVRational frame_rate; /* 0/1 = variable or unknown */
    AVRational time_base;
    enum AVColorPrimaries primaries;
    enum AVColorTransferCharacteristic transfer;
    enum AVColorSpace matrix;
    enum AVColorRange range;
    enum AVChromaLocation chroma_location;
    ta_field_order fields;
} ta_video_format;

typedef struct ta_audio_format {
    int sample_rate;
    AVChannelLayout layout;
    enum AVSampleFormat sample_fmt;
} ta_audio_format;

/* Fills unspecified colour fields with a stated guess: 525 lines (height <= 486 or a 30000/1001 family rate) and SD
 * -> SMPTE 170M; SD otherwise -> BT.470 BG; HD (width >= 1280 or height > 576) -> BT.709; range limited unless the
 * pixel format is a full-range one or RGB. True when something was guessed; then `text` (128 bytes, may be NULL) says
 * what. */
bool ta_guess_colour(ta_video_format *f, char *text);

/* The sample aspect ratio to use: with `sd_704` a picture 720 (or 704) wide and 480/486/576 high whose SAR is 8:9,
 * 32:27, 16:15 or 64:45 gets 10:11, 40:33, 12:11 or 16:11, as 4:3 or 16:9 fills its centre 704; any other is taken
 * as it is, unknown is 1:1. */
AVRational ta_true_sar(int width, int height, AVRational sar, bool sd_704);

/* ---- Reading --------------------------------------------------------------------------------------------------- */

/* An open input: a file, a VIDEO_TS folder (its longest title set, VOBs joined), or several VOBs of one set (given
 * by the first: VTS_01_1.VOB joins 2..9). Reads go through our own I/O, so they are counted, cancellable, and hashed
 * when the whole file is read in order. Timestamps are unwrapped: packets of ta_input_read have continuous time. */
typedef struct ta_input ta_input;

typedef struct ta_input_stats {
    uint64_t bytes; /* bytes read from storage */
    uint64_t packets, discontinuities, corrupt;
} ta_input_stats;

/* Opens and probes. TA_ERR_NOINPUT, TA_ERR_NOPERM, TA_ERR_DATA (empty, wrong type, nothing playable), TA_ERR_IO.
 * `cancel` may be NULL and must outlive the input. */
int ta_input_open(ta_input **in, const char *path, ta_cancel *cancel, ta_error *err);
/* What an input is by its files (a title's VOBs together): bytes, and when the newest of them was changed, in
 * microseconds since 1970. TA_ERR_NOINPUT, TA_ERR_NOPERM, TA_ERR_DATA as ta_input_open. */
int ta_input_identity(const char *path, int64_t *bytes, int64_t *modified_us, ta_error *err);
/* SHA-256 of those files in their order: what ta_input_sha256 gives of the open input. */
int ta_input_files_sha256(const char *path, char hex[65], ta_cancel *cancel, ta_error *err);
/* How else to open. */
typedef enum ta_open_how {
    TA_OPEN_HASHED = 1, /* hash what is read in order, for ta_input_sha256 */
    TA_OPEN_MAPPED = 2  /* read through memory maps: for a file of our own that was just written and is still in memory;
                         * an I/O error there ends the process, so never for a source */
} ta_open_how;
/* Opens the same input once more beside `known` (NULL: a first opening): what is known of the streams, the start and
 * the duration is taken over, so little is probed again. `known` must outlive it. `how` is a sum of ta_open_how. */
int ta_input_open_as(ta_input **in, const char *path, unsigned how, ta_input *known, ta_cancel *cancel, ta_error *err);
void ta_input_close(ta_input **in);
AVFormatContext *ta_input_context(ta_input *in);
/* Keeps only these streams (bit i of `mask` = stream i); the rest is parsed for time and dropped. */
void ta_input_select(ta_input *in, uint64_t mask);
/* The next packet, in file order. 1, 0 at the end (also of a truncated file), or an error. Packets keep their
 * stream's time base; pts and dts are unwrapped and made continuous over discontinuities. */
int ta_input_read(ta_input *in, AVPacket *pkt, ta_error *err);
/* Best video stream (attached pictures do not count), or -1. */
int ta_input_video(ta_input *in);
/* Start of the earliest audio or video stream, in microseconds: the zero of --start and --end. */
int64_t ta_input_start_us(ta_input *in);
/* Duration as the container claims, in microseconds, or -1. */
int64_t ta_input_duration_us(ta_input *in);
/* Facts of a stream, from the container and the codec parameters (declared, not measured). */
void ta_input_video_format(ta_input *in, int stream, ta_video_format *f);
/* Clockwise rotation in degrees by the display matrix: 0, 90, 180, 270. */
int ta_input_rotation(ta_input *in, int stream);
void ta_input_get_stats(ta_input *in, ta_input_stats *s);
/* SHA-256 of the bytes of the file(s), finished by reading what was not yet read in order. */
int ta_input_sha256(ta_input *in, char hex[65], ta_error *err);

/* ---- Index ----------------------------------------------------------------------------------------------------- */

/* What one full reading of an input found: every packet of sound, picture and subtitles in file order, the pictures in
 * the order in which they are shown, and where decoding must start for each. It lives in a file (40 bytes a packet, 16
 * a picture) that is mapped read-only, so that memory does not grow with the length. Once built or opened it never
 * changes: all functions that take a const ta_index are thread safe.
 *
 * A "packet" is the number of a packet of the video stream in file order (= decoding order), from 0. A "frame" is the
 * number of a picture in the order of presentation, from 0. Times are in the video stream's time base, unwrapped and
 * continuous as ta_input_read gives them. */
typedef struct ta_index ta_index;

/* A packet. `pts` and `dts` may be AV_NOPTS_VALUE, `pos` (byte in the joined file) -1. */
typedef struct ta_index_packet {
    int64_t pts, dts, pos;
    uint32_t size;
    int32_t duration;      /* in the stream's time base; fields that are shown once more are in it */
    uint32_t check;        /* a hash of the bytes */
    uint8_t stream, flags; /* AV_PKT_FLAG_* */
    uint8_t picture;       /* TA_PICTURE_*; 0 = not known, or no picture */
    int8_t repeat;         /* the parser's repeat_pict: fields shown once more, where it knows; else 0 */
} ta_index_packet;

enum {
    TA_PICTURE_TYPE = 7,         /* mask: an AVPictureType (1 I, 2 P, 3 B) */
    TA_PICTURE_FIELD = 8,        /* one field of two packets (H.264 PAFF) */
    TA_PICTURE_SECOND_FIELD = 16 /* completes the picture before it, is no frame of its own */
};

/* What is to be indexed. */
typedef struct ta_index_source {
    const char *path;
    ta_input *known; /* the opening in which `stream` was found, to see that it is the same; may be NULL */
    int stream;      /* of the video, -1 = none: then there are no frames */
    ta_cancel *cancel;
    void (*progress)(void *opaque, double fraction); /* 0..1, in the calling thread; may be NULL */
    void *opaque;
} ta_index_source;

/* Reads the whole input once and writes its index to `file` (temporary name, fsync, rename; an older one is replaced),
 * then opens it. The same reading gives the SHA-256 of the source. TA_ERR_NOINPUT, TA_ERR_DATA, TA_ERR_IO (source),
 * TA_ERR_AGAIN (disk full), TA_ERR_CANTCREATE, TA_ERR_CANCELLED. On failure *ix is NULL and `file` is as it was. */
int ta_index_build(ta_index **ix, const char *file, const ta_index_source *source, ta_error *err);
/* Opens an index file and checks it as a whole. TA_ERR_NOINPUT, TA_ERR_DATA (damaged, another version), TA_ERR_IO. */
int ta_index_open(ta_index **ix, const char *file, ta_error *err);
/* Safe on NULL. Inputs that follow this index must be closed before. */
void ta_index_close(ta_index **ix);

/* SHA-256 of the source's bytes (of all joined files), 64 hex digits, and their number. */
const char *ta_index_source_sha256(const ta_index *ix);
int64_t ta_index_source_size(const ta_index *ix);
/* SHA-256 of the index itself: names its content. */
const char *ta_index_sha256(const ta_index *ix);

int ta_index_video(const ta_index *ix); /* the stream, -1 = none */
AVRational ta_index_time_base(const ta_index *ix);
/* Packets of all streams; of the video stream. */
int64_t ta_index_records(const ta_index *ix);
int64_t ta_index_packets(const ta_index *ix);
/* `n` must be in range. The pointers live as long as the index. */
const ta_index_packet *ta_index_record(const ta_index *ix, int64_t n);
const ta_index_packet *ta_index_packet_at(const ta_index *ix, int64_t packet);
/* Stretches of continuous time: 1 + the joints found. */
int64_t ta_index_epochs(const ta_index *ix);

/* Pictures that the file holds, by rising time. A decoder may show fewer: leading pictures at the very start of a
 * recording have no reference, broken ones are dropped. So frames are to be cut by their times, not by counting.
 *
 * Without a pts a picture gets the time that linear decoding shows: what does not wait for others (B, or a codec
 * without reordering) has its dts; else it leaves the decoder when a later packet comes in, and has that one's dts;
 * without a dts its time is its predecessor's plus that one's duration. A picture whose time does not rise is left out.
 * Where no packet of the stream has a time at all (raw H.264), ta_input_go_to gives dts by which a decoder shows these
 * times. */
int64_t ta_index_frames(const ta_index *ix);
int64_t ta_index_frame_pts(const ta_index *ix, int64_t frame);
int64_t ta_index_frame_packet(const ta_index *ix, int64_t frame);
/* The last frame at or before `pts`, -1 when there is none. */
int64_t ta_index_frame_at(const ta_index *ix, int64_t pts);
/* The packet where decoding must start so that at least `count` key frames are shown before or at `frame`; 0 (the
 * start of the file) when there are not so many. Key packets of a gradual refresh (H.264 without I pictures) count one
 * eighth. */
int64_t ta_index_key_before(const ta_index *ix, int64_t frame, int count);
/* Bytes of the packets of the frames [first, end): how much work they are, roughly. */
int64_t ta_index_bytes(const ta_index *ix, int64_t first, int64_t end);

/* Goes to a packet of the index's video stream: from here on ta_input_read returns the packets of this stream alone,
 * from `packet` on, with the times, flags and duration of the linear reading. Each is compared with the index by size
 * and hash; one that differs is TA_ERR_DATA (the source changed, or can't be read twice alike) and is never returned.
 * Uses the container's index or positions, more than once where it lands late; at worst the file is read from its
 * front. `ix` must outlive the input. May be called again. */
int ta_input_go_to(ta_input *in, const ta_index *ix, int64_t packet, ta_error *err);
/* ta_input_open_as and ta_input_go_to in one. */
int ta_input_open_at(ta_input **in, const char *path, ta_input *known, const ta_index *ix, int64_t packet,
                     ta_cancel *cancel, ta_error *err);
/* Goes to each of these packets with one opening: that a plan can be carried out is known before it starts. The message
 * names the first that can't be reached. */
int ta_index_check(const ta_index *ix, const char *path, ta_input *known, const int64_t *packets, int count,
                   ta_cancel *cancel, ta_error *err);
/* Tells a source from another one without reading all of it: of all files that `path` stands for, the bytes together,
 * the latest change, and the SHA-256 of the first and the last MiB of each. TA_ERR_NOINPUT, TA_ERR_NOPERM, TA_ERR_IO.
 */
typedef struct ta_source_identity {
    int64_t bytes, mtime_ns;
    char ends_sha256[65];
} ta_source_identity;
int ta_source_identify(const char *path, ta_source_identity *id, ta_error *err);

/* ---- Decoding -------------------------------------------------------------------------------------------------- */

typedef struct ta_decoder ta_decoder;
/* `threads` 0 = automatic. TA_ERR_DATA when there is no decoder for the codec (the message names it). */
int ta_decoder_open(ta_decoder **d, const AVStream *st, int threads, ta_error *err);
void ta_decoder_close(ta_decoder **d);
/* The packet or frame was not taken: receive first, then send it again. */
#define TA_RECEIVE_FIRST 1
/* NULL drains. 0, or TA_RECEIVE_FIRST. A packet that can't be decoded is counted, not
 * an error. */
int ta_decoder_send(ta_decoder *d, const AVPacket *pkt, ta_error *err);
/* 1 and a frame (pts set by best effort, in the stream's time base), 0 when more packets are needed, TA_DECODER_END
 * when a drained decoder has no more. */
#define TA_DECODER_END (-1)
int ta_decoder_receive(ta_decoder *d, AVFrame *frame, ta_error *err);
void ta_decoder_flush(ta_decoder *d);
AVCodecContext *ta_decoder_context(ta_decoder *d);
uint64_t ta_decoder_errors(const ta_decoder *d);

/* ---- Frames and single pictures -------------------------------------------------------------------------------- */

/* The decoded frames of a file's best video stream, in order. Not thread safe. */
typedef struct ta_frames ta_frames;
/* As ta_input_open; TA_ERR_DATA without a picture. `threads` as for ta_decoder_open. */
int ta_frames_open(ta_frames **f, const char *path, int threads, ta_cancel *cancel, ta_error *err);
void ta_frames_close(ta_frames **f);
ta_input *ta_frames_input(ta_frames *f);
/* What the file declares, colour guessed where untagged. */
const ta_video_format *ta_frames_format(const ta_frames *f);
/* 1 and the next frame, 0 at the end. Its pts is in the stream's time base; aspect and colour tags are filled in from
 * the container, or guessed. TA_ERR_CANCELLED. */
int ta_frames_next(ta_frames *f, AVFrame *frame, ta_error *err);
/* Neither the file nor a frame so far names a matrix: the frames carry a guess. */
bool ta_frames_untagged(const ta_frames *f);
/* The frame's time in microseconds, on the file's own time line. */
int64_t ta_frames_us(const ta_frames *f, const AVFrame *frame);
/* Goes on at least 10 s before `us`, which must lie ahead (or anywhere in files that can seek by time): so that what is
 * decoded at `us` is what decoding from the start gives. MPEG streams are read over, not sought in. */
void ta_frames_seek(ta_frames *f, int64_t us);
/* Goes on at the last key frame before `us`; in MPEG streams at the first one behind it. */
void ta_frames_seek_near(ta_frames *f, int64_t us);
/* False for MPEG streams, whose time stamps have to be searched for. */
bool ta_frames_can_seek(const ta_frames *f);
/* The last frame at or before `us` (the first one, where all are later) of a file. av_frame_free it. */
int ta_frame_at(const char *path, int64_t us, ta_cancel *cancel, AVFrame **out, ta_error *err);

typedef enum ta_kernel { TA_KERNEL_BICUBIC, TA_KERNEL_LANCZOS } ta_kernel;
/* A frame with buffers, or NULL when out of memory. */
AVFrame *ta_new_frame(enum AVPixelFormat format, int width, int height);
/* Scales and converts into a frame with buffers, by the matrix and range that both frames name. */
int ta_frame_convert(AVFrame *to, const AVFrame *from, ta_kernel kernel, ta_error *err);
/* Draws a frame into a box of an RGB24 canvas, scaled by Lanczos. */
int ta_draw(AVFrame *canvas, int x, int y, int width, int height, const AVFrame *from, ta_error *err);
/* An RGB24 frame as PNG. */
int ta_png_encode(AVPacket *pkt, const AVFrame *rgb, ta_error *err);
int ta_png_write(const AVFrame *rgb, const char *path, bool overwrite, ta_error *err);

/* ---- Encoding -------------------------------------------------------------------------------------------------- */

typedef struct ta_encoder ta_encoder;

typedef struct ta_video_encoding {
    const char *encoder; /* libav's name */
    const char *preset;  /* the encoder's own word; NULL = its default */
    const char *options; /* "name=value:name=value"; NULL = none */
    int crf;             /* -1 = not used */
    int threads;
    AVRational frame_rate; /* constant rate, or 0/1: variable */
    AVRational usual_rate; /* of a variable one: what the encoder's rate control reckons with */
    AVRational time_base;  /* of the frames that will be sent */
    bool global_header;    /* the container keeps the codec's header apart */
    bool anchored;         /* whole frames are counted from `anchor`, not from the first frame */
    int64_t anchor;        /* in time_base */
} ta_video_encoding;

/* Opens an encoder for frames like `first` (size, format, colour, aspect, field order are taken from it). At a
 * constant rate the packets' times are whole frames counted from `first`, whatever the frames' time base.
 * TA_ERR_UNAVAILABLE when the encoder is missing or refuses to work on this machine, TA_ERR_USAGE for an option it
 * does not know. */
int ta_encoder_open_video(ta_encoder **e, const ta_video_encoding *v, const AVFrame *first, ta_error *err);
/* `bit_rate` 0 = lossless or the codec's default. The format must be one that the encoder takes. */
int ta_encoder_open_audio(ta_encoder **e, const char *encoder, int64_t bit_rate, const ta_audio_format *format,
                          bool global_header, ta_error *err);
void ta_encoder_close(ta_encoder **e);
/* NULL drains. Does not take the frame. 0 or TA_RECEIVE_FIRST. */
int ta_encoder_send(ta_encoder *e, AVFrame *frame, ta_error *err);
/* 1 and a packet, 0 when more frames are needed, TA_DECODER_END at the end. Times are in ta_encoder_time_base and
 * absolute (the first frame's time is in them). */
int ta_encoder_receive(ta_encoder *e, AVPacket *pkt, ta_error *err);
AVRational ta_encoder_time_base(const ta_encoder *e);
AVCodecContext *ta_encoder_context(ta_encoder *e);
/* True when this build of libav has the encoder. */
bool ta_encoder_exists(const char *encoder);
/* Full-range "J" formats are the plain ones, and the range is a tag of its own: libswscale and encoders want them so.
 */
enum AVPixelFormat ta_plain_pix_fmt(enum AVPixelFormat fmt);
/* The pixel format that `encoder` takes nearest to `source`, with `bits` a sample (0 = the source's, at most what the
 * encoder has) and, for lossy encoders, 4:2:0. AV_PIX_FMT_NONE when it has none with so many bits. */
enum AVPixelFormat ta_encoder_pix_fmt(const char *encoder, enum AVPixelFormat source, int bits);

/* ---- Joining --------------------------------------------------------------------------------------------------- */

/* Copies the streams of several files (picture here, sound there) into one Matroska file, by the rules of ta_publish:
 * packets as they are, times as they are, sound and picture interleaved by time. An existing `output` is replaced.
 * TA_ERR_DATA: a file that can't be read, or a stream that Matroska can't hold; TA_ERR_AGAIN, TA_ERR_IO,
 * TA_ERR_CANCELLED. */
int ta_join_files(const char *const *inputs, size_t count, const char *output, ta_cancel *cancel, ta_error *err);

/* ---- Text subtitles -------------------------------------------------------------------------------------------- */

/* Converts text subtitles (SubRip, ASS, WebVTT, MOV text) where a container holds only another kind. */
typedef struct ta_subtitles ta_subtitles;
/* TA_ERR_UNAVAILABLE when libav lacks one of the codecs, TA_ERR_DATA for a broken stream. */
int ta_subtitles_open(ta_subtitles **s, const AVStream *in, enum AVCodecID codec, ta_error *err);
void ta_subtitles_close(ta_subtitles **s);
/* Replaces the packet's text, keeps its times. 1, or 0 when it holds nothing to show. */
int ta_subtitles_convert(ta_subtitles *s, AVPacket *pkt, ta_error *err);
int ta_subtitles_parameters(const ta_subtitles *s, AVCodecParameters *p, ta_error *err);
bool ta_subtitles_are_text(enum AVCodecID codec);

#endif
