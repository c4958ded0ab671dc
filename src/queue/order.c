/* The persistent treap of order.h. */
#include "queue/order.h"

struct ta_order {
    uint64_t stamp;
    ta_order_key key;
    uint32_t weight; /* a parent's is never less than a child's */
    uint32_t size;
    ta_order *left, *right;
};

static int compare(const ta_order_key *a, const ta_order_key *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority ? -1 : 1;
    if (a->position != b->position)
        return a->position < b->position ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

/* A fixed hash of the id (the finaliser of MurmurHash3) instead of chance: the same jobs make the same tree. */
static uint32_t weight_of(int64_t id)
{
    uint64_t h = (uint64_t)id + 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
    h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
    return (uint32_t)(h >> 32);
}

size_t ta_order_size(const ta_order *o)
{
    return o ? o->size : 0;
}

static void count(ta_order *o)
{
    o->size = (uint32_t)(1 + ta_order_size(o->left) + ta_order_size(o->right));
}

/* NULL when memory fails: then all that follows is thrown away. */
static ta_order *own(ta_txn *txn, ta_order *o)
{
    if (o->stamp == txn->stamp)
        return o;
    ta_order *copy = ta_txn_alloc(txn, sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *o;
    copy->stamp = txn->stamp;
    ta_txn_drop(txn, o);
    return copy;
}

/* Cuts `o` into what is before and behind `key`. */
static void split(ta_txn *txn, ta_order *o, const ta_order_key *key, ta_order **before, ta_order **behind)
{
    *before = *behind = NULL;
    ta_order *mine = o ? own(txn, o) : NULL;
    if (!mine)
        return;
    if (compare(&mine->key, key) < 0) {
        *before = mine;
        split(txn, mine->right, key, &mine->right, behind);
    } else {
        *behind = mine;
        split(txn, mine->left, key, before, &mine->left);
    }
    count(mine);
}

static ta_order *merge(ta_txn *txn, ta_order *a, ta_order *b)
{
    if (!a || !b)
        return a ? a : b;
    ta_order *top = own(txn, a->weight >= b->weight ? a : b);
    if (!top)
        return a;
    if (a->weight >= b->weight)
        top->right = merge(txn, top->right, b);
    else
        top->left = merge(txn, a, top->left);
    count(top);
    return top;
}

static ta_order *add(ta_txn *txn, ta_order *o, ta_order *new)
{
    if (!o)
        return new;
    if (new->weight > o->weight) {
        split(txn, o, &new->key, &new->left, &new->right);
        count(new);
        return new;
    }
    ta_order *mine = own(txn, o);
    if (!mine)
        return o;
    if (compare(&new->key, &mine->key) < 0)
        mine->left = add(txn, mine->left, new);
    else
        mine->right = add(txn, mine->right, new);
    count(mine);
    return mine;
}

ta_order *ta_order_add(ta_txn *txn, ta_order *o, const ta_order_key *key)
{
    ta_order *new = ta_txn_alloc(txn, sizeof *new);
    if (!new)
        return o;
    *new = (ta_order){ .stamp = txn->stamp, .key = *key, .weight = weight_of(key->id), .size = 1 };
    return add(txn, o, new);
}

ta_order *ta_order_remove(ta_txn *txn, ta_order *o, const ta_order_key *key)
{
    if (!o)
        return NULL;
    int side = compare(key, &o->key);
    if (side == 0) {
        ta_order *rest = merge(txn, o->left, o->right);
        ta_txn_drop(txn, o);
        return rest;
    }
    ta_order *mine = own(txn, o);
    if (!mine)
        return o;
    if (side < 0)
        mine->left = ta_order_remove(txn, mine->left, key);
    else
        mine->right = ta_order_remove(txn, mine->right, key);
    count(mine);
    return mine;
}

static size_t collect(const ta_order *o, size_t skip, size_t limit, int64_t *ids)
{
    if (!o || !limit || skip >= o->size)
        return 0;
    size_t left = ta_order_size(o->left), n = 0;
    if (skip < left)
        n = collect(o->left, skip, limit, ids);
    if (skip <= left && n < limit)
        ids[n++] = o->key.id;
    return n + collect(o->right, skip > left ? skip - left - 1 : 0, limit - n, ids + n);
}

size_t ta_order_ids(const ta_order *o, size_t offset, size_t limit, int64_t *ids)
{
    return collect(o, offset, limit, ids);
}

bool ta_order_at(const ta_order *o, size_t n, ta_order_key *key)
{
    while (o) {
        size_t left = ta_order_size(o->left);
        if (n == left) {
            *key = o->key;
            return true;
        }
        o = n < left ? o->left : o->right;
        n = n < left ? n : n - left - 1;
    }
    return false;
}

size_t ta_order_rank(const ta_order *o, const ta_order_key *key)
{
    size_t before = 0;
    while (o) {
        if (compare(&o->key, key) < 0) {
            before += ta_order_size(o->left) + 1;
            o = o->right;
        } else {
            o = o->left;
        }
    }
    return before;
}

void ta_order_free(ta_order *o)
{
    if (!o)
        return;
    ta_order_free(o->left);
    ta_order_free(o->right);
    ta_free(o);
}
