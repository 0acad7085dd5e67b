"""Drops records of a topic, as retention does: all of them, or those before an offset.

In a process of its own, which ends without cleaning up: the results of confluent-kafka 2.12.2's delete_records
damage the interpreter's memory.
"""

import os
import subprocess
import sys

import confluent_kafka
import confluent_kafka.admin


def delete_records(bootstrap, topic, partitions, before=confluent_kafka.OFFSET_END):
    words = [bootstrap, topic, str(partitions), str(before)]
    subprocess.run([sys.executable, __file__, *words], check=True, timeout=120)


def main(bootstrap, topic, partitions, before):
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": bootstrap})
    ends = [confluent_kafka.TopicPartition(topic, p, before) for p in range(partitions)]
    for future in admin.delete_records(ends).values():
        future.result(60)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
