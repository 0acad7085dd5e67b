/* tests/tsan/suppressions.c - what TSan is not to report, in every program built with it. A
 * line needs a reason. */

const char *__tsan_default_suppressions(void);
const char *__tsan_default_options(void);

const char *__tsan_default_suppressions(void)
{
    return /* Its memory goes from thread to thread by counts of references that are atomic:
            * TSan, which librdkafka is not built with, sees the malloc, memcpy and free, and no
            * count. Its calls of these are left out; its threads and locks are seen
            * (library_threads.c), its callbacks into our code as well. */
        "called_from_lib:librdkafka.so\n";
}

const char *__tsan_default_options(void)
{
    return /* An end that has waited long enough for Kafka leaves its threads as they are. */
        "report_thread_leaks=0";
}
