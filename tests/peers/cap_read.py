"""Reads our alerts with PyPI lxml, and a feed of them with PyPI feedparser.

usage: cap_read.py SCHEMA FEED ALERT...

All are files; SCHEMA is CAP-v1.2.xsd of the standard. Prints a line per fault, and exits 1 when there is one.
"""

import sys

import feedparser
from lxml import etree


def main():
    schema_path, feed_path, *alert_paths = sys.argv[1:]
    schema = etree.XMLSchema(etree.parse(schema_path))
    faults = []
    identifiers = []
    for path in alert_paths:
        alert = etree.parse(path)
        if not schema.validate(alert):
            faults.append(f"{path}: {schema.error_log.last_error}")
        identifiers.append(alert.findtext("{*}identifier"))
    feed = feedparser.parse(feed_path)
    if feed.bozo or feed.version != "atom10":
        faults.append(f"feed: {feed.version!r} {feed.get('bozo_exception')}")
    if not (feed.feed.get("id") and feed.feed.get("title") and feed.feed.get("updated_parsed") and feed.feed.get("author")):
        faults.append("feed: id, title, updated or author is missing")
    if [link.rel for link in feed.feed.get("links", [])] != ["self"]:
        faults.append("feed: no link to itself")
    if not feed.entries:
        faults.append("feed: no entries")
    for entry in feed.entries:
        if not (entry.get("title") and entry.get("updated_parsed") and entry.get("summary")):
            faults.append(f"{entry.get('id')}: title, updated or summary is missing")
        if [link.type for link in entry.links] != ["application/cap+xml"]:
            faults.append(f"{entry.get('id')}: no link to its alert")
        if entry.id.rsplit(":", 1)[1] not in identifiers:
            faults.append(f"{entry.id}: names none of the alerts")
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
