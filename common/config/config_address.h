/* common/config/config_address.h - of a connection string
 * ("scheme://user:password@a:1,b/?x=y"): what may be shown of it, and its hosts. Pure; the
 * caller frees. */
#pragma once

/* Without who logs in, and without options that hold a password. Cuts too much rather than too
 * little when the address is malformed: nothing before the last @ is shown. */
char *config_address_redacted(const char *address);
/* What is wrong with one that begins with a scheme, in words that repeat nothing of it; NULL:
 * nothing that can be seen. An @ in an option has to be encoded, too. */
const char *config_address_problem(const char *address);
/* The hosts alone, as they stand there: "a:1,b". */
char *config_address_hosts(const char *address);
/* The hosts in one spelling, whatever the order, the case and the repetitions they were given
 * in: "a:1,b:27017,". */
char *config_address_hosts_sorted(const char *address);
