/* The table of paths to unlink at the last moment.
 *
 * A slot goes FREE -> FILLING -> LIVE -> FREE by the thread that owns it. The signal handler takes LIVE slots by
 * compare-and-swap to TAKEN and leaves them DONE. An owner who finds his slot TAKEN leaves the path alone, as the
 * handler is reading it on another thread; the process is about to end then. */
#include "base/unlink_list.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/memory.h"

enum { FREE, FILLING, LIVE, TAKEN, DONE };

static bool move(struct ta_unlink_slot *slot, int from, int to)
{
    return atomic_compare_exchange_strong(&slot->state, &from, to);
}

int ta_unlink_add(struct ta_unlink_slot *table, size_t count, const char *path, bool folder)
{
    char *copy = ta_strdup(path);

    if (!copy) {
        errno = ENOMEM;
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        if (!move(&table[i], FREE, FILLING))
            continue;
        table[i].path = copy;
        table[i].folder = folder;
        atomic_store(&table[i].state, LIVE);
        return (int)i;
    }
    ta_free(copy);
    errno = EMFILE;
    return -1;
}

void ta_unlink_forget(struct ta_unlink_slot *table, int index)
{
    if (index < 0)
        return;
    struct ta_unlink_slot *slot = &table[index];
    if (!move(slot, LIVE, FILLING) && !move(slot, DONE, FILLING))
        return;
    ta_freep(&slot->path);
    atomic_store(&slot->state, FREE);
}

void ta_unlink_run(struct ta_unlink_slot *table, size_t count, bool folders)
{
    int saved = errno;

    for (size_t i = 0; i < count; i++) {
        if (!move(&table[i], LIVE, TAKEN))
            continue;
        bool ours = table[i].folder == folders;
        if (ours && folders)
            rmdir(table[i].path);
        else if (ours)
            unlink(table[i].path);
        atomic_store(&table[i].state, ours ? DONE : LIVE);
    }
    errno = saved;
}
