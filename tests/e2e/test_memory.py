"""Memory is bounded whatever the items' size: a table that is larger than what a program may use."""

from support.running import wait_until

CEILING_KB = 256 * 1024
ITEMS = 800
ITEM_BYTES = 390_000  # 400 KB is the largest legal one


def test_large_items_do_not_fill_the_memory(scripted):
    """Of one character: hardly anything is left of them in Kafka, so that all fit into a few answers."""
    table = scripted.add_table()
    text = {"S": "x" * ITEM_BYTES}
    for i in range(ITEMS):
        scripted.dynamodb.put_item(TableName=table.name, Item={"pk": {"S": str(i)}, "text": text})
    producer = scripted.producer()
    wait_until(lambda: scripted.phase(table) == "tail", 120, "the snapshot's end", scripted.running())
    consumer = scripted.consumer()
    scripted.wait_applied(120)
    peaks = {program.role: program.peak_kb() for program in (producer, consumer)}
    assert max(peaks.values()) < CEILING_KB, f"{peaks} kB at the peak"
