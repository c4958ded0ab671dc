/* The persistent map of trie.h. */
#include "queue/trie.h"

#include <string.h>

enum { BITS = 5, BRANCHES = 1 << BITS, MAX_LEVELS = 12 };

typedef struct ta_trie_node {
    uint64_t stamp;
    unsigned used;
    void *child[BRANCHES];
} node;

static unsigned branch(int64_t id, int level)
{
    return (unsigned)((uint64_t)id >> (BITS * level)) & (BRANCHES - 1);
}

static bool fits(int64_t id, int levels)
{
    return levels >= MAX_LEVELS || (uint64_t)id >> (BITS * levels) == 0;
}

void *ta_trie_get(const ta_trie *t, int64_t id)
{
    const node *n = t->root;
    if (id < 0 || !fits(id, t->levels))
        return NULL;
    for (int level = t->levels - 1; n && level > 0; level--)
        n = n->child[branch(id, level)];
    return n ? n->child[branch(id, 0)] : NULL;
}

static node *own(ta_txn *txn, node *n)
{
    if (n && n->stamp == txn->stamp)
        return n;
    node *copy = ta_txn_alloc(txn, sizeof *copy);
    if (!copy)
        return NULL;
    if (n)
        *copy = *n;
    copy->stamp = txn->stamp;
    ta_txn_drop(txn, n);
    return copy;
}

/* The node that takes the place of `n`: NULL when it has become empty. */
static node *put(ta_txn *txn, node *n, int level, int64_t id, void *value)
{
    unsigned b = branch(id, level);
    void *old = n ? n->child[b] : NULL;
    if (!old && !value)
        return n;
    void *new = level ? put(txn, old, level - 1, id, value) : value;
    if (txn->failed || (new == old &&n && n->stamp == txn->stamp))
        return n;
    node *mine = own(txn, n);
    if (!mine)
        return n;
    mine->used += (new != NULL) - (old != NULL);
    mine->child[b] = new;
    if (mine->used)
        return mine;
    ta_txn_drop(txn, mine);
    return NULL;
}

static bool grow(ta_txn *txn, ta_trie *t)
{
    if (t->root) {
        node *top = own(txn, NULL);
        if (!top)
            return false;
        top->child[0] = t->root;
        top->used = 1;
        t->root = top;
    }
    t->levels++;
    return true;
}

void ta_trie_put(ta_txn *txn, ta_trie *t, int64_t id, void *value)
{
    while (value && (t->levels == 0 || !fits(id, t->levels)))
        if (!grow(txn, t))
            return;
    if (t->levels && fits(id, t->levels))
        t->root = put(txn, t->root, t->levels - 1, id, value);
}

static void free_below(node *n, int level, bool values)
{
    for (int i = 0; n && i < BRANCHES; i++) {
        if (level)
            free_below(n->child[i], level - 1, values);
        else if (values)
            ta_free(n->child[i]);
    }
    ta_free(n);
}

void ta_trie_free(ta_trie *t, bool values)
{
    if (t->root)
        free_below(t->root, t->levels - 1, values);
    *t = (ta_trie){ 0 };
}
