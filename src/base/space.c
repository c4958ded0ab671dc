/* The space monitor. */
#include <stdatomic.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"

enum { PERIOD_US = 1000000 };

static int check_free(const ta_space *s, ta_error *err)
{
    int64_t left = ta_free_space(s->folder);
    char have[24], want[24];

    if (left < 0 || left >= s->reserve)
        return 0;
    ta_fail(err, TA_ERR_AGAIN, "only %s are free on the disk of '%s', and %s must stay free", ta_print_size(left, have),
            s->folder, ta_print_size(s->reserve, want));
    ta_hint(err, "free some space on that disk, or use another one, and run the same command again");
    return TA_ERR_AGAIN;
}

static int check_size(const ta_space *s, ta_error *err)
{
    int64_t size = s->limit > 0 ? ta_tree_size(s->folder) : 0;
    char have[24], most[24];

    if (size <= s->limit)
        return 0;
    ta_fail(err, TA_ERR_AGAIN, "'%s' holds %s of temporary files, and %s are allowed", s->folder,
            ta_print_size(size, have), ta_print_size(s->limit, most));
    ta_hint(err, "raise the limit for temporary files, and run the same command again");
    return TA_ERR_AGAIN;
}

int ta_space_check(ta_space *s, ta_error *err)
{
    int64_t now = ta_now_us(), next = atomic_load(&s->next_check_us);

    /* Of several writers who come at once, one checks. */
    if (now < next || !atomic_compare_exchange_strong(&s->next_check_us, &next, now + PERIOD_US))
        return 0;
    int ret = check_free(s, err);
    if (!ret)
        ret = check_size(s, err);
    if (ret)
        atomic_store(&s->next_check_us, 0); /* whoever asks next is to hear of it too */
    return ret;
}
