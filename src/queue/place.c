/* Where the queue is: its folder, and the file systems on which it can't be. */
#include <errno.h>
#include <stdlib.h>
#include <sys/vfs.h>

#include "queue/store.h"

char *ta_jobs_folder(const char *dir)
{
    const char *own = getenv("TERMINALAI_QUEUE"), *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (dir && *dir)
        return ta_strdup(dir);
    if (own && *own)
        return ta_strdup(own);
    if (state && *state)
        return ta_path_join(state, "terminalai/queue");
    return home && *home ? ta_path_join(home, ".local/state/terminalai/queue") : NULL;
}

/* Numbers of statfs(2) and linux/magic.h, which doesn't have all of them. */
static const struct {
    unsigned long type;
    const char *name;
} network[] = {
    { 0x6969, "NFS" },        { 0xFF534D42, "CIFS" },   { 0xFE534D42, "SMB" },   { 0x517B, "SMB" },
    { 0x01021997, "9p" },     { 0x5346414F, "AFS" },    { 0x6B414653, "AFS" },   { 0x00C36400, "Ceph" },
    { 0x0BD00BD0, "Lustre" }, { 0x47504653, "GPFS" },   { 0x7461636F, "OCFS2" }, { 0x01161970, "GFS2" },
    { 0x73757245, "Coda" },   { 0x564C, "NCP" },        { 0x65735546, "FUSE" },  { 0x19830326, "BeeGFS" },
    { 0xAAD7AAEA, "PanFS" },  { 0x786F4256, "VBoxSF" }, { 0x61756673, "aufs" },
};

static const char *network_name(unsigned long type)
{
    for (size_t i = 0; i < TA_COUNT(network); i++)
        if (network[i].type == (type & 0xFFFFFFFF))
            return network[i].name;
    return NULL;
}

bool ta_is_network_fs(unsigned long type)
{
    return network_name(type) != NULL;
}

int ta_check_local(const char *dir, ta_error *err)
{
    struct statfs fs;
    if (statfs(dir, &fs) != 0)
        return ta_fail_errno(err, errno, true, "can't look at the queue folder", dir);
    const char *name = network_name((unsigned long)fs.f_type);
    if (!name)
        return 0;
    ta_fail(err, TA_ERR_UNAVAILABLE, "the queue folder '%s' is on a %s file system, whose locks can't be relied on",
            dir, name);
    return ta_hint(
        err, "name a folder on a local disk by --queue-dir or TERMINALAI_QUEUE; inputs and outputs may be anywhere");
}
