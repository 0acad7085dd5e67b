#include "common/config/config_load.h"

#include <stdio.h>
#include <unistd.h>

#include "common/base/exit_code.h"
#include "common/config/config_args.h"
#include "common/config/config_assign.h"
#include "common/config/config_derive.h"
#include "common/config/config_env.h"
#include "common/config/config_file.h"
#include "common/config/config_print.h"

static int apply_sets(struct config *c, const struct config_args *a, struct error *err)
{
    for (size_t i = 0; i < a->set_count; i++) {
        const struct config_arg *arg = &a->sets[i];

        if (config_assign(c, (struct config_source){arg->origin, 0}, arg->key, arg->value,
                          err) < 0) {
            err->code = EXIT_USAGE_ERROR;
            return -1;
        }
    }
    return 0;
}

static int finish_printing(struct error *err)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        return error_fatal(err, EXIT_FATAL, "standard output can't be written");
    return 0;
}

/* What NimoShake's file says holds where nothing else is said. */
static int read_files(struct config *c, const struct config_args *a, struct error *err)
{
    if (a->nimoshake && config_file_read(c, a->nimoshake, err) < 0)
        return -1;
    config_derive_from_nimoshake(c);
    config_forget_lines(c);
    return a->file ? config_file_read(c, a->file, err) : 0;
}

int config_load(struct config **ret, enum config_program program, int argc, char **argv,
                struct config_extra *extras, struct error *err)
{
    AUTO(config_args_release)
    struct config_args a = {.argc = argc, .argv = argv, .extras = extras};
    AUTO(config_freep) struct config *c = config_new(program);

    if (config_args_read(&a, program, err) < 0)
        return -1;
    if (a.done)
        return finish_printing(err);
    if (read_files(c, &a, err) < 0 || config_env_read(c, environ, err) < 0 ||
        apply_sets(c, &a, err) < 0 || config_derive(c, err) < 0)
        return -1;
    if (a.print_values) {
        config_print_values(stdout, c);
        return finish_printing(err);
    }
    *ret = TAKE(c);
    return 0;
}
