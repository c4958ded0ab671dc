/* Transactions over immutable nodes, and the limbo of those that were replaced. */
#include "queue/heap.h"

#include <stdlib.h>

typedef struct ta_dead {
    struct ta_dead *next;
    uint64_t epoch;
    size_t count;
    void *nodes[];
} ta_dead;

/* ---- Transactions ---------------------------------------------------------------------------------------------------
 */

static bool push(ta_pointers *p, void *node)
{
    if (p->count == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 64;
        void **list = ta_resize(p->list, cap, sizeof *list);
        if (!list)
            return false;
        p->list = list;
        p->cap = cap;
    }
    p->list[p->count++] = node;
    return true;
}

void ta_txn_begin(ta_txn *t, uint64_t stamp)
{
    t->stamp = stamp;
    t->made.count = t->dropped.count = 0;
    t->failed = false;
}

void *ta_txn_alloc(ta_txn *t, size_t size)
{
    void *node = t->failed ? NULL : ta_alloc(size);
    if (node && push(&t->made, node))
        return node;
    ta_free(node);
    t->failed = true;
    return NULL;
}

void ta_txn_drop(ta_txn *t, void *node)
{
    if (node && !t->failed && !push(&t->dropped, node))
        t->failed = true;
}

void ta_txn_take_back(ta_txn *t)
{
    for (size_t i = 0; i < t->made.count; i++)
        ta_free(t->made.list[i]);
    t->made.count = t->dropped.count = 0;
}

static void shrink(ta_pointers *p)
{
    ta_freep(&p->list);
    p->count = p->cap = 0;
}

void ta_txn_end(ta_txn *t)
{
    shrink(&t->made);
    shrink(&t->dropped);
}

/* ---- Slots ----------------------------------------------------------------------------------------------------------
 */

static ta_slot *take_of(ta_slots *s)
{
    for (int i = 0; i < TA_SLOTS; i++) {
        bool free_one = false;
        if (!atomic_load_explicit(&s->slot[i].taken, memory_order_relaxed) &&
            atomic_compare_exchange_strong(&s->slot[i].taken, &free_one, true))
            return &s->slot[i];
    }
    return NULL;
}

/* Behind the last block another one; blocks are freed with the limbo only. */
static ta_slots *next_block(ta_slots *s)
{
    ta_slots *next = atomic_load(&s->next);
    if (next)
        return next;
    ta_slots *made = NULL;
    if (posix_memalign((void **)&made, 64, sizeof *made) != 0)
        return NULL;
    for (int i = 0; i < TA_SLOTS; i++) {
        atomic_init(&made->slot[i].epoch, 0);
        atomic_init(&made->slot[i].taken, false);
    }
    atomic_init(&made->next, NULL);
    if (atomic_compare_exchange_strong(&s->next, &next, made))
        return made;
    free(made);
    return next;
}

ta_slot *ta_slot_take(ta_limbo *l)
{
    for (ta_slots *s = &l->first; s; s = next_block(s)) {
        ta_slot *slot = take_of(s);
        if (slot)
            return slot;
    }
    return NULL;
}

void ta_slot_give(ta_slot *s)
{
    atomic_store(&s->epoch, 0);
    atomic_store(&s->taken, false);
}

/* ---- Limbo ----------------------------------------------------------------------------------------------------------
 */

void ta_limbo_init(ta_limbo *l)
{
    atomic_init(&l->epoch, 1);
}

static uint64_t oldest_reader(ta_limbo *l)
{
    uint64_t oldest = UINT64_MAX;
    for (ta_slots *s = &l->first; s; s = atomic_load(&s->next)) {
        for (int i = 0; i < TA_SLOTS; i++) {
            uint64_t epoch = atomic_load(&s->slot[i].epoch);
            if (epoch && epoch < oldest)
                oldest = epoch;
        }
    }
    return oldest;
}

static void free_before(ta_limbo *l, uint64_t epoch)
{
    while (l->oldest && l->oldest->epoch < epoch) {
        ta_dead *d = l->oldest;
        l->oldest = d->next;
        l->count -= d->count;
        for (size_t i = 0; i < d->count; i++)
            ta_free(d->nodes[i]);
        ta_free(d);
    }
    if (!l->oldest)
        l->newest = NULL;
}

/* Where there is no memory to remember them by, it is waited until no reader can hold them: readers leave within
 * microseconds. */
static void bury_now(ta_limbo *l, ta_txn *t, void *root, uint64_t epoch)
{
    while (oldest_reader(l) <= epoch)
        ta_sleep_us(50);
    for (size_t i = 0; i < t->dropped.count; i++)
        ta_free(t->dropped.list[i]);
    ta_free(root);
}

void ta_limbo_bury(ta_limbo *l, ta_txn *t, void *root)
{
    uint64_t epoch = atomic_fetch_add(&l->epoch, 1);
    size_t n = t->dropped.count;
    ta_dead *d = ta_alloc(sizeof *d + (n + 1) * sizeof *d->nodes);
    if (!d) {
        bury_now(l, t, root, epoch);
    } else {
        for (size_t i = 0; i < n; i++)
            d->nodes[i] = t->dropped.list[i];
        d->nodes[n] = root;
        d->count = n + 1;
        d->epoch = epoch;
        if (l->newest)
            l->newest->next = d;
        else
            l->oldest = d;
        l->newest = d;
        l->count += d->count;
    }
    t->made.count = t->dropped.count = 0;
    free_before(l, oldest_reader(l));
}

void ta_limbo_free(ta_limbo *l)
{
    free_before(l, UINT64_MAX);
    for (ta_slots *s = atomic_load(&l->first.next), *next; s; s = next) {
        next = atomic_load(&s->next);
        free(s);
    }
    atomic_store(&l->first.next, NULL);
}
