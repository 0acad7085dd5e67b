/* common/dynamodb/aws_profile.c - the files are read whole, line by line, as the AWS tools read
 * them: "[name]" or "[profile name]", "key = value", '#' and ';' comments, indented lines
 * belong to the setting before. */
#include "common/dynamodb/aws_profile.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/exit_code.h"
#include "common/base/text.h"

#define FILE_AT_MOST (1 << 20)

/* A comment begins the line or follows white space. */
static struct bytes without_comment(struct bytes line)
{
    for (size_t i = 0; i < line.len; i++)
        if ((line.p[i] == '#' || line.p[i] == ';') &&
            (i == 0 || isspace((unsigned char)line.p[i - 1])))
            line.len = i;
    return text_trim(line);
}

/* What stands in the brackets; false: this line opens no section. */
static bool section_name(struct bytes line, struct bytes *ret)
{
    const char *end = line.len ? memchr(line.p, ']', line.len) : NULL;

    if (!end || line.p[0] != '[')
        return false;
    *ret = text_trim((struct bytes){line.p + 1, (size_t)(end - line.p) - 1});
    return true;
}

/* The config file writes [profile x] or [profile "x"], but [default]; the other one [x]. */
static bool is_section_of(struct bytes section, const char *name, bool is_config)
{
    bool prefixed = section.len > 8 && memcmp(section.p, "profile", 7) == 0 &&
                    isspace((unsigned char)section.p[7]);

    if (is_config && prefixed) {
        section = text_trim((struct bytes){section.p + 8, section.len - 8});
        if (section.len > 1 && (section.p[0] == '"' || section.p[0] == '\''))
            section = (struct bytes){section.p + 1, section.len - 2};
    } else if (is_config && strcmp(name, "default") != 0) {
        return false;
    }
    return bytes_equal(section, bytes_of(name));
}

static bool is_other_way(struct bytes key)
{
    static const char *const ways[] = {
        "role_arn",           "sso_session",       "sso_start_url", "web_identity_token_file",
        "credential_process", "credential_source", "source_profile"};

    for (size_t i = 0; i < ARRAY_LEN(ways); i++)
        if (bytes_equal(key, bytes_of(ways[i])))
            return true;
    return false;
}

static void set_text(char **at, struct bytes value)
{
    free(*at);
    *at = value.len ? bytes_dup(value) : NULL;
}

static void take_setting(struct aws_profile *p, struct bytes key, struct bytes value)
{
    if (bytes_is(key, "aws_access_key_id"))
        set_text(&p->access_key_id, value);
    else if (bytes_is(key, "aws_secret_access_key"))
        set_text(&p->secret_access_key, value);
    else if (bytes_is(key, "aws_session_token"))
        set_text(&p->session_token, value);
    else if (bytes_is(key, "region"))
        set_text(&p->region, value);
    else if (is_other_way(key) && !p->other_way)
        set_text(&p->other_way, key);
}

static void take_line(struct aws_profile *p, struct bytes line, bool is_config, bool *mine)
{
    bool indented = line.len && isspace((unsigned char)line.p[0]);
    struct bytes text = without_comment(line), section, key, value;

    if (section_name(text, &section)) {
        *mine = is_section_of(section, p->name, is_config);
        p->found = p->found || *mine;
    } else if (*mine && !indented && text_split(text, '=', &key, &value)) {
        take_setting(p, key, value);
    }
}

static void take_text(struct aws_profile *p, struct bytes text, bool is_config)
{
    struct bytes line;
    bool mine = false;

    while (text_next(&text, '\n', &line))
        take_line(p, line, is_config, &mine);
}

static int read_file(struct aws_profile *p, const char *path, bool is_config, struct error *err)
{
    AUTO(buf_release) struct buf text = {0};

    if (!path)
        return 0;
    if (text_slurp(&text, path, FILE_AT_MOST, err) == 0) {
        take_text(p, buf_slice(&text), is_config);
        return 0;
    }
    if (errno == ENOENT || errno == ENOTDIR)
        return 0;
    if (errno != EFBIG)
        err->code = EXIT_NO_RIGHT;
    return -1;
}

static char *path_of(const char *variable, const char *file)
{
    const char *given = getenv(variable), *home = getenv("HOME");

    if (given && *given)
        return xstrdup(given);
    return home && *home ? xasprintf("%s/.aws/%s", home, file) : NULL;
}

static void move_text(char **to, char **from)
{
    if (!*from)
        return;
    free(*to);
    *to = TAKE(*from);
}

/* Keys stay together: a pair is never mixed from both files. */
static void merge(struct aws_profile *p, struct aws_profile *config)
{
    if (!p->access_key_id && !p->secret_access_key) {
        move_text(&p->access_key_id, &config->access_key_id);
        move_text(&p->secret_access_key, &config->secret_access_key);
        move_text(&p->session_token, &config->session_token);
    }
    move_text(&p->region, &config->region);
    if (!p->other_way)
        move_text(&p->other_way, &config->other_way);
    p->found = p->found || config->found;
}

static int read_both(struct aws_profile *p, struct error *err)
{
    AUTO(aws_profile_release) struct aws_profile config = {.name = xstrdup(p->name)};

    if (read_file(p, p->credentials_path, false, err) < 0 ||
        read_file(&config, p->config_path, true, err) < 0)
        return -1;
    merge(p, &config);
    return 0;
}

int aws_profile_read(struct aws_profile *ret, struct error *err)
{
    const char *name = getenv("AWS_PROFILE");
    AUTO(aws_profile_release)
    struct aws_profile p = {
        .name = xstrdup(name && *name ? name : "default"),
        .credentials_path = path_of("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        .config_path = path_of("AWS_CONFIG_FILE", "config"),
    };

    if (read_both(&p, err) < 0)
        return -1;
    *ret = p;
    p = (struct aws_profile){0};
    return 0;
}

void aws_profile_release(struct aws_profile *p)
{
    free_charp(&p->access_key_id);
    free_charp(&p->secret_access_key);
    free_charp(&p->session_token);
    free_charp(&p->name);
    free_charp(&p->credentials_path);
    free_charp(&p->config_path);
    free_charp(&p->region);
    free_charp(&p->other_way);
}
