"""Drops records of a topic, as retention does: all of them, or those before an offset.

In a process of its own, which ends without cleaning up: the results of confluent-kafka 2.12.2's delete_records
damage the interpreter's memory.
"""

import json
import os
import subprocess
import sys

import confluent_kafka
import confluent_kafka.admin


def delete_records(bootstrap, topic, partitions):
    """Of so many partitions all; or, of partitions with an offset each, what is before that."""
    ends = partitions
    if not isinstance(partitions, dict):
        ends = {partition: confluent_kafka.OFFSET_END for partition in range(partitions)}
    command = [sys.executable, __file__, bootstrap, topic, json.dumps(ends)]
    subprocess.run(command, check=True, timeout=120)


def main(bootstrap, topic, ends):
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": bootstrap})
    wanted = [confluent_kafka.TopicPartition(topic, int(p), at) for p, at in ends.items()]
    for future in admin.delete_records(wanted).values():
        future.result(60)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
