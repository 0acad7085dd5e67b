#include "fullcheck/compare.h"

#include <stdlib.h>

#define DIGITS_OF_DECIMAL128 34

static void values(struct compare *cmp, const struct compare_path *path,
                   const struct canon *source, const struct canon *target, bool exact);

static void part(struct compare *cmp, const struct compare_path *path,
                 const struct canon *source, const struct canon *target)
{
    cmp->different = true;
    if (cmp->parts)
        cmp->parts(cmp->arg, path, source, target);
}

static bool enough(const struct compare *cmp)
{
    return cmp->different && !cmp->parts;
}

/* ---- scalars ---- */

/* A text of digits where Decimal128 has too few. */
static bool long_number_equal(struct compare *cmp, const struct canon *source,
                              const struct canon *target)
{
    struct canon number = {.type = CANON_NUMBER};

    return cmp->form->change && source->number.digits.len > DIGITS_OF_DECIMAL128 &&
           canon_number(cmp->arena, &number, target->text) &&
           decimal_equal(&source->number, &number.number);
}

static bool number_equal(struct compare *cmp, const struct canon *source,
                         const struct canon *target, bool exact)
{
    if (target->type == CANON_STRING)
        return long_number_equal(cmp, source, target);
    if (target->type != CANON_NUMBER)
        return false;
    if (decimal_equal(&source->number, &target->number))
        return true;
    return cmp->form->change && cmp->form->as_double && !exact && target->is_double &&
           decimal_to_double(&source->number) == target->approximate;
}

static bool scalar_equal(struct compare *cmp, const struct canon *source,
                         const struct canon *target, bool exact)
{
    if (source->type == CANON_NUMBER)
        return number_equal(cmp, source, target, exact);
    if (source->type != target->type)
        return false;
    if (source->type == CANON_BOOL)
        return source->truth == target->truth;
    return source->type == CANON_NULL || bytes_equal(source->text, target->text);
}

/* ---- sets ---- */

/* The elements as an array, in an order in which equal ones meet: a set's own elements differ,
 * so what is equal on both sides comes to the same place. */
struct ordering {
    bool numbers; /* the source's elements are */
    bool as_double;
};

static double value_of(const struct canon *number)
{
    return number->is_double ? number->approximate : decimal_to_double(&number->number);
}

static int number_order(const struct canon *a, const struct canon *b,
                        const struct ordering *ordering)
{
    double x, y;

    if (!ordering->as_double)
        return decimal_order(&a->number, &b->number);
    x = value_of(a);
    y = value_of(b);
    if (x != y)
        return x < y ? -1 : 1;
    return decimal_order(&a->number, &b->number); /* the target may have kept them exactly */
}

static int text_order(struct bytes a, struct bytes b)
{
    size_t common = MIN(a.len, b.len);
    int order = common ? memcmp(a.p, b.p, common) : 0;

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int element_order(const void *left, const void *right, void *arg)
{
    const struct canon *a = *(const struct canon *const *)left;
    const struct canon *b = *(const struct canon *const *)right;

    if (a->type != b->type)
        return a->type < b->type ? -1 : 1;
    if (a->type == CANON_NUMBER)
        return number_order(a, b, arg);
    return a->type == CANON_STRING || a->type == CANON_BINARY ? text_order(a->text, b->text)
                                                              : 0;
}

/* A long number's text counts as the number, where numbers are looked for. */
static const struct canon *as_number(struct compare *cmp, const struct canon *element,
                                     bool numbers)
{
    struct canon *number;

    if (!numbers || element->type != CANON_STRING || !cmp->form->change)
        return element;
    number = canon_new(cmp->arena, CANON_NUMBER);
    return canon_number(cmp->arena, number, element->text) &&
                   number->number.digits.len > DIGITS_OF_DECIMAL128
               ? number
               : element;
}

static const struct canon **ordered(struct compare *cmp, const struct canon *set,
                                    struct ordering *ordering)
{
    const struct canon **all =
        obstack_alloc(&cmp->arena->memory, (int)(set->count * sizeof(*all)));
    size_t n = 0;

    for (const struct canon *e = set->first; e; e = e->next)
        all[n++] = as_number(cmp, e, ordering->numbers);
    qsort_r(all, n, sizeof(*all), element_order, ordering);
    return all;
}

static bool set_equal(struct compare *cmp, const struct canon *source,
                      const struct canon *target)
{
    struct ordering ordering = {.numbers = source->element == 'N',
                                .as_double = cmp->form->change && cmp->form->as_double};
    const struct canon **ours, **theirs;

    if (target->type != (cmp->form->change ? CANON_LIST : CANON_SET) ||
        source->count != target->count)
        return false;
    if (!cmp->form->change && source->element != target->element)
        return false;
    ours = ordered(cmp, source, &ordering);
    theirs = ordered(cmp, target, &ordering);
    for (size_t i = 0; i < source->count; i++)
        if (!scalar_equal(cmp, ours[i], theirs[i], false))
            return false;
    return true;
}

/* ---- lists ---- */

static void lists(struct compare *cmp, const struct compare_path *path,
                  const struct canon *source, const struct canon *target)
{
    const struct canon *a = source->first, *b = target->first;
    struct compare_path step = {.up = path};

    for (; (a || b) && !enough(cmp); step.position++) {
        if (a && b)
            values(cmp, &step, a, b, false);
        else
            part(cmp, &step, a, b);
        a = a ? a->next : NULL;
        b = b ? b->next : NULL;
    }
}

/* ---- maps ---- */

static int name_order(const void *left, const void *right)
{
    const struct canon *a = *(const struct canon *const *)left;
    const struct canon *b = *(const struct canon *const *)right;

    return text_order(a->name, b->name);
}

struct members {
    const struct canon **all;
    size_t count;
};

static struct members by_name(struct compare *cmp, const struct canon *from)
{
    struct members members = {0};

    for (const struct canon *e = from; e; e = e->next)
        members.count++;
    members.all =
        obstack_alloc(&cmp->arena->memory, (int)(members.count * sizeof(*members.all)));
    members.count = 0;
    for (const struct canon *e = from; e; e = e->next)
        members.all[members.count++] = e;
    qsort(members.all, members.count, sizeof(*members.all), name_order);
    return members;
}

static bool exact_at(const struct compare *cmp, const struct compare_path *path,
                     const struct canon *member)
{
    return !path && cmp->is_key && cmp->is_key(cmp->arg, member->name);
}

static void one_member(struct compare *cmp, const struct compare_path *path,
                       const struct canon *source, const struct canon *target)
{
    const struct canon *any = source ? source : target;
    struct compare_path step = {.up = path,
                                .name = any->renamed ? BYTES_LIT("_id") : any->name};

    if (source && target)
        values(cmp, &step, source, target, exact_at(cmp, path, any));
    else
        part(cmp, &step, source, target);
}

/* The members from where the two sides have them in another order. */
static void merged(struct compare *cmp, const struct compare_path *path,
                   const struct canon *source, const struct canon *target)
{
    struct members a = by_name(cmp, source), b = by_name(cmp, target);
    size_t i = 0, j = 0;

    while ((i < a.count || j < b.count) && !enough(cmp)) {
        int order = i == a.count ? 1 : j == b.count ? -1 : name_order(&a.all[i], &b.all[j]);

        one_member(cmp, path, order <= 0 ? a.all[i] : NULL, order >= 0 ? b.all[j] : NULL);
        i += order <= 0;
        j += order >= 0;
    }
}

static void maps(struct compare *cmp, const struct compare_path *path,
                 const struct canon *source, const struct canon *target)
{
    const struct canon *a = source->first, *b = target->first;

    while (a && b && bytes_equal(a->name, b->name) && !enough(cmp)) {
        one_member(cmp, path, a, b);
        a = a->next;
        b = b->next;
    }
    if ((a || b) && !enough(cmp))
        merged(cmp, path, a, b);
}

/* ---- all ---- */

static void values(struct compare *cmp, const struct compare_path *path,
                   const struct canon *source, const struct canon *target, bool exact)
{
    if (source->type == CANON_MAP && target->type == CANON_MAP)
        maps(cmp, path, source, target);
    else if (source->type == CANON_LIST && target->type == CANON_LIST)
        lists(cmp, path, source, target);
    else if (source->type == CANON_SET
                 ? !set_equal(cmp, source, target)
                 : source->type >= CANON_LIST || !scalar_equal(cmp, source, target, exact))
        part(cmp, path, source, target);
}

bool compare_maps(struct compare *cmp, const struct canon *source, const struct canon *target)
{
    cmp->different = false;
    maps(cmp, NULL, source, target);
    return !cmp->different;
}

bool compare_ids(struct compare *cmp, const struct canon *source, const struct canon *target)
{
    const struct compare_path step = {.name = BYTES_LIT("_id")};
    const struct canon *a = source->first, *b = target->first;
    struct compare quiet = {.form = cmp->form, .arena = cmp->arena};

    if (source->type == CANON_MAP && target->type == CANON_MAP) {
        for (; a && b && bytes_equal(a->name, b->name); a = a->next, b = b->next)
            values(&quiet, NULL, a, b, true);
        quiet.different = quiet.different || a || b;
    } else {
        values(&quiet, NULL, source, target, true);
    }
    if (quiet.different)
        part(cmp, &step, source, target);
    return !quiet.different;
}
