#include "common/config/config_program.h"

#include <stddef.h>

const char *config_program_name(enum config_program program)
{
    switch (program) {
    case CONFIG_PRODUCER:
        return "dynaferry-producer";
    case CONFIG_CONSUMER:
        return "dynaferry-consumer";
    case CONFIG_FULLCHECK:
        return "dynaferry-fullcheck";
    case CONFIG_STATUS:
        return "dynaferry-status";
    }
    return "dynaferry";
}

static const struct config_about abouts[] = {
    {"carries DynamoDB tables into Kafka",
     "It scans tables and follows their streams into one Kafka topic per table, exactly once. "
     "Any number of them share the tables of one topic.prefix. With --resnapshot, --pause, "
     "--resume or --forget it carries nothing, but asks the producers that run.",
     (const char *const[]){
         "dynaferry-producer --conf /etc/dynaferry/dynaferry.conf",
         "dynaferry-producer --conf dynaferry.conf --resnapshot orders --wait", NULL}},
    {"applies tables from Kafka to MongoDB",
     "It keeps one collection per table equal to the table. Any number of them share the work "
     "for one target. With --replay, --replay-dead-letters or --adopt-restored it applies "
     "nothing itself.",
     (const char *const[]){"dynaferry-consumer --conf /etc/dynaferry/dynaferry.conf",
                           "dynaferry-consumer --conf dynaferry.conf --replay orders --from "
                           "2026-01-31T12:00:00Z --wait",
                           NULL}},
    {"compares DynamoDB tables with MongoDB collections",
     "It reads both ends by itself, also while changes flow, and writes what differs into a "
     "file. Exit code 0: they are the same; 1: they differ; 2: it could not tell.",
     (const char *const[]){"dynaferry-fullcheck --conf /etc/dynaferry/dynaferry.conf",
                           "dynaferry-fullcheck --conf dynaferry.conf --sample 100000 --repair",
                           NULL}},
    {"shows where every table is, and waits until the target holds everything",
     "It reads what the producers and consumers have recorded, and needs no access to "
     "DynamoDB. "
     "Exit code 0: shown, or it is so; 1: it is not so (--max-lag, --wait-for); 2: something "
     "could not be read.",
     (const char *const[]){
         "dynaferry-status --conf /etc/dynaferry/dynaferry.conf --watch",
         "dynaferry-status --conf dynaferry.conf --wait-for now --timeout 600", NULL}},
};

const struct config_about *config_program_about(enum config_program program)
{
    switch (program) {
    case CONFIG_PRODUCER:
        return &abouts[0];
    case CONFIG_CONSUMER:
        return &abouts[1];
    case CONFIG_FULLCHECK:
        return &abouts[2];
    case CONFIG_STATUS:
        break;
    }
    return &abouts[3];
}
