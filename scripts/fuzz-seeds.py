#!/usr/bin/env python3
"""Inputs for the fuzz targets to begin with.

    fuzz-seeds.py own FOLDER        our own: every trap we know, small. Committed as fuzz/corpus
    fuzz-seeds.py large FOLDER      our own, too large to be committed: fields of 10 MB
    fuzz-seeds.py fixtures FROM TO  recorded archives and answers, cut into what a target reads; never committed

Each target has a folder of its name. The formats are in the heads of fuzz/targets/*.rs. The same call writes the same bytes.
"""
import io
import struct
import sys
import zipfile
from pathlib import Path

HARVEST = '{"harvest_id": "01934c1f-9d2a-7c3e-8a10-5b0d7f2e6c41"%s}'
KEY = "50c9509d-22c7-4a22-a47d-8c48425ef4a7"
TABLE = ('encoding="UTF-8" fieldsTerminatedBy="\\t" linesTerminatedBy="\\n" fieldsEnclosedBy="" ignoreHeaderLines="1" '
         'rowType="http://rs.tdwg.org/dwc/terms/Occurrence"')
META = ('<archive xmlns="http://rs.tdwg.org/dwc/text/"><core %s><files><location>occurrence.txt</location></files>'
        '<id index="0"/><field index="0" term="http://rs.gbif.org/terms/1.0/gbifID"/>'
        '<field index="1" term="http://rs.tdwg.org/dwc/terms/sex"/></core></archive>' % TABLE)
ROWS = "gbifID\tsex\n1\tmale\n2\tfemale\n"
MOMENT = (2026, 1, 1, 0, 0, 0)


def put(folder, target, name, content):
    path = Path(folder) / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def zipped(entries, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in entries:
            entry = zipfile.ZipInfo(name, MOMENT)
            entry.compress_type = method
            archive.writestr(entry, content)
    return out.getvalue()


def replaced(content, old, new, count=-1):
    assert old in content, old
    return content.replace(old, new, count)


def archives(folder):
    good = [("meta.xml", META), ("occurrence.txt", ROWS), ("dataset/%s.xml" % KEY, "<eml/>")]
    stored = zipped(good, zipfile.ZIP_STORED)
    put(folder, "archive", "good", zipped(good))
    put(folder, "archive", "good-stored", stored)
    put(folder, "archive", "empty", zipped([]))
    put(folder, "archive", "html", "<html><body>Too many requests</body></html>")
    put(folder, "archive", "no-descriptor", zipped([("occurrence.txt", ROWS)]))
    put(folder, "archive", "cut", zipped(good)[:-30])
    put(folder, "archive", "wrong-crc", replaced(stored, b"1\tmale", b"1\tmole"))
    put(folder, "archive", "bomb", zipped([("meta.xml", META), ("occurrence.txt", bytes(17 << 20))]))
    # The size that both headers declare is smaller than what comes out.
    bomb = zipped([("meta.xml", META), ("occurrence.txt", bytes(2 << 20))])
    put(folder, "archive", "size-lies", replaced(bomb, struct.pack("<I", 2 << 20), struct.pack("<I", 1000)))
    for name, evil in [("up", "../evil.txt"), ("root", "/b/evil.txt"), ("backslash", "ab\\evil.txt"),
                       ("drive", "C:/evil.txt"), ("nul", "a\0/evil.txt")]:
        good_name = b"ab/evil.txt"
        content = zipped(good + [("ab/evil.txt", "x")])
        put(folder, "archive", "name-" + name, replaced(content, good_name, evil.encode().ljust(11)[:11]))
    put(folder, "archive", "same-name", replaced(zipped(good + [("aa.txt", "1"), ("bb.txt", "2")]), b"bb.txt", b"aa.txt"))
    # Two entries of the directory lead to one local header.
    content = bytearray(zipped([("meta.xml", META), ("a.txt", "x" * 500), ("b.txt", "x" * 500)]))
    places = [at for at in range(len(content)) if content[at:at + 4] == b"PK\1\2"]
    content[places[2] + 42:places[2] + 46] = content[places[1] + 42:places[1] + 46]
    put(folder, "archive", "overlap", bytes(content))
    # A directory that says to hold entries, or to stand, where nothing is.
    end = stored.rindex(b"PK\5\6")
    for name, count, at in [("many-entries", 0xFFFE, None), ("directory-outside", None, 0xFFFFFF00)]:
        lie = bytearray(stored)
        if count:
            lie[end + 8:end + 12] = struct.pack("<HH", count, count)
        if at:
            lie[end + 16:end + 20] = struct.pack("<I", at)
        put(folder, "archive", name, bytes(lie))
    # zip64 with counts, sizes and places that cannot be.
    for name, number in [("zip64-lies", 1 << 62), ("zip64-most", (1 << 64) - 1)]:
        record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, number, number, number, number)
        locator = struct.pack("<4sIQI", b"PK\6\7", 0, end, 1)
        old = bytearray(stored[end:])
        old[8:20] = b"\xff" * 12
        put(folder, "archive", name, stored[:end] + record + locator + bytes(old))


def own(folder):
    archives(folder)
    put(folder, "message", "request", 'harvest.request 1\n{"subscription": "a", "query": {"predicate": {"type": "equals", '
        '"key": "DATASET_KEY", "value": "%s"}}, "settings": {"max_uncertainty_m": 123456789.12345679e-7}}' % KEY)
    put(folder, "message", "request-nul", 'harvest.request 1\n{"archive": "a\\u0000b"}')
    put(folder, "message", "request-no-nul", 'harvest.request 1\n{"archive": "a\\\\u0000b"}')
    put(folder, "message", "request-deep", 'harvest.request 1\n{"query": ' + "[" * 5000)
    put(folder, "message", "request-surrogate", 'harvest.request 1\n{"archive": "\\ud800"}')
    put(folder, "message", "request-number", 'harvest.request 1\n{"query": 1e999}')
    put(folder, "message", "twice", "harvest.plan 1\n" + HARVEST % ', "harvest_id": "x"')
    put(folder, "message", "version", "harvest.plan 2\n" + HARVEST % "")
    put(folder, "message", "not-utf8", b'harvest.cancel 1\n{"by": "\xff"}')
    put(folder, "message", "slice", "synthese.upsert 1\n" + HARVEST % ', "slice": 4294967296')
    put(folder, "message", "long-ago", "harvest.approve 1\n" + HARVEST % ', "planned_at": "-200000-01-01T00:00:00Z"')
    for kind in ["download.request", "download.poll", "archive.fetch", "archive.load", "harvest.finish"]:
        put(folder, "message", kind, kind + " 1\n" + HARVEST % "")
    for kind in ["inat.enrich", "dataset.describe"]:
        put(folder, "message", kind, kind + " 1\n" + HARVEST % ', "batch": 0')

    leaf = '{"type": "equals", "key": "DATASET_KEY", "value": "%s"}' % KEY
    query = '{"creator": "USER", "format": "DWCA", "predicate": %s}'
    within = '{"predicate": {"type": "and", "predicates": [%s, {"type": "within", "geometry": "%%s"}]}}' % leaf
    put(folder, "predicate", "procedure", query % leaf)
    put(folder, "predicate", "deep", '{"predicate": %s%s%s}' % ('{"type": "not", "predicate": ' * 60, leaf, "}" * 60))
    put(folder, "predicate", "date", '{"predicate": {"type": "and", "predicates": [%s, {"type": "greaterThan", '
        '"key": "EVENT_DATE", "value": "2024-05-01T10:00:00Z"}]}}' % leaf)
    put(folder, "predicate", "null", '{"predicate": {"type": "isNull", "parameter": "TAXON_KEY"}}')
    put(folder, "predicate", "distance", '{"predicate": {"type": "geoDistance", "latitude": "45", "longitude": "3", '
        '"distance": "5km"}}')
    for name, geometry in [("good", "POLYGON((0 0,1 0,1 1,0 0))"), ("nan", "POLYGON((nan nan,1 0,1 1,nan nan))"),
                           ("huge", "POLYGON((1e308 0,1 0,1 1,1e308 0))"), ("empty", "POLYGON EMPTY"),
                           ("z", "POLYGON Z((0 0 1,1 0 1,1 1 1,0 0 1))"), ("clockwise", "POLYGON((0 0,1 1,1 0,0 0))"),
                           ("nested", "GEOMETRYCOLLECTION(" * 50)]:
        put(folder, "predicate", "within-" + name, within % geometry)

    put(folder, "descriptor", "good", META)
    put(folder, "descriptor", "bom", "\ufeff" + META)
    put(folder, "descriptor", "reference", META.replace("occurrence.txt", "occurrence&#46;txt"))
    put(folder, "descriptor", "section", META.replace("occurrence.txt", "<![CDATA[occurrence.txt]]>"))
    put(folder, "descriptor", "entities", '<!DOCTYPE a [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>' + META.replace("sex", "&b;"))
    put(folder, "descriptor", "far-column", META.replace('index="1"', 'index="99999999999999999999"'))
    put(folder, "descriptor", "same-column", META.replace('index="1"', 'index="0"'))
    put(folder, "descriptor", "open", META[:-20])
    put(folder, "descriptor", "two-files", META.replace("</files>", "<location>b.txt</location></files>"))

    head = bytes([10, 1, 0, 0])
    for name, text in [
            ("widths", b"a\tb\n1\n1\t2\t3\n\n"), ("nul", b"a\tb\n1\0\t2\n"), ("not-utf8", b"a\tb\n\xff\xfe\t2\n"),
            ("bom", b"\xef\xbb\xbfa\tb\n1\t2\n"), ("quotes", b'a\tb\n"""x"" y"\t"open\n""""\t""\n"a "" b\t"\n'),
            ("carriage-return", b"a\tb\r\n1\t2\r\n"), ("next-line", "a\tb\n\u0085\u2028\t2\n".encode()), ("no-end", b"a\tb\n1\t2")]:
        put(folder, "table", name, head + text)
    put(folder, "table", "too-long", bytes([4, 0, 255, 200]) + b"x" * 300 + b"\n1\n")
    put(folder, "table", "only-newlines", bytes([0, 255, 1, 255]) + b"\n" * 300)

    values = {4: "urn:uuid:ca7ac3c2-2a61-4a95-94e9-17eb1b9f6a4e", 3: "HUMAN_OBSERVATION", 6: "3", 15: "2010-05-31T14:23",
              17: "45.1", 18: "3.2", 22: KEY, 26: "339412090"}
    row = ["5006733106"] + [values.get(at, "") for at in range(1, 51)]
    put(folder, "record", "good", "\t".join(row) + "\n")
    for name, changed in [("nan", {17: "NaN", 18: "inf"}), ("count", {6: "99999999999"}), ("quotes", {13: '"a ""b"" c"'}),
                          ("id", {0: "+1"}), ("id-space", {0: "1 "}), ("interval", {15: "2010-05-31/2009"}),
                          ("java", {15: "Tue Apr 01 00:00:00 CET 1930"})]:
        put(folder, "record", name, "\t".join(changed.get(at, value) for at, value in enumerate(row)))
    put(folder, "record", "widths", "!1\t2\n1\n!\n1" + "\t" * 60 + "\n")
    put(folder, "record", "not-utf8", b"1\t\xff\n2\t\0\n")

    for at, text in enumerate(["2010", "2010-05", "2010-05-31", "2010-05-31T14:23:08.5Z", "2010-05-31T01:23:00-0930", "2010/2012-05",
                               "2023-08-29T10:00/2023-08-29", "Tue Apr 01 00:00:00 CET 1930", "0000", "9999-12-31T23:59:59.999999999+23:59",
                               "2024-02-29", "2010-05-31T24:00", "0001-01-01T00:00:00+23:59", "\uff12\uff10\uff11\uff10"]):
        put(folder, "event_date", "%02d" % at, text)

    eml = ('<eml:eml xmlns:eml="https://eml.ecoinformatics.org/eml-2.2.0"><dataset><alternateIdentifier>doi:10.15468/ab3s5x'
           '</alternateIdentifier><title>%s</title><creator><individualName><givenName>A</givenName><surName>B</surName>'
           '</individualName><organizationName>C</organizationName></creator><abstract><para>&lt;p&gt;x &amp;amp; y</para></abstract>'
           '<intellectualRights><para><ulink url="http://creativecommons.org/licenses/by/4.0/legalcode"/></para></intellectualRights>'
           '</dataset></eml:eml>')
    put(folder, "eml", "good", eml % "Title")
    put(folder, "eml", "bom", "\ufeff" + eml % "Title")
    put(folder, "eml", "markup", eml % "&lt;p&gt;a &lt; b&#0;&#x7;&amp;#0;&amp;nbsp;")
    put(folder, "eml", "entities", '<!DOCTYPE a [<!ENTITY a "aa">]>' + eml % "&a;")
    put(folder, "eml", "unknown-entity", eml % "&eacute;")
    put(folder, "eml", "deep", "<eml>" + "<dataset>" * 5000)
    put(folder, "eml", "not-utf8", (eml % "Title").encode("utf-16"))

    status = '{"key": "0012150-260108223611665", "status": "%s", "created": "%s", "size": %s, "totalRecords": %s%s}'
    now = "2026-01-08T22:40:00.000+00:00"
    put(folder, "gbif", "status", status % ("SUCCEEDED", now, 12, 3, ', "doi": "10.15468/dl.4gbcs6"'))
    put(folder, "gbif", "status-unknown", status % ("HIBERNATING", now, 0, -1, ""))
    put(folder, "gbif", "status-nul", status % ("A\\u0000", now, 1, 1, ', "doi": "\\u0000", "request": {"\\u0000": 1}'))
    put(folder, "gbif", "status-long-ago", status % ("RUNNING", "-200000-01-01T00:00:00Z", 1, 1, ""))
    put(folder, "gbif", "page", '{"offset": 0, "endOfRecords": true, "results": [%s]}' % (status % ("KILLED", now, 1, 1, "")))
    put(folder, "gbif", "dataset", '{"key": "%s", "title": "a\\u0000", "modified": "+200000-01-01T00:00:00Z", '
        '"citation": {"text": "\\u0000"}}' % KEY)
    put(folder, "gbif", "key", '"0012150-260108223611665"')
    put(folder, "gbif", "html", "<!DOCTYPE html><html>")

    page = '1,2,3\n{"total_results": %d, "results": [%s]}'
    one = '{"id": %d, "uuid": "ca7ac3c2-2a61-4a95-94e9-17eb1b9f6a4e", "uri": "a%s", "user": {"login": "%s"}}'
    put(folder, "inaturalist", "two", page % (2, one % (3, "", "me") + ", " + one % (1, "", "")))
    put(folder, "inaturalist", "twice", page % (2, one % (1, "", "me") + ", " + one % (1, "", "you")))
    put(folder, "inaturalist", "nul", page % (1, one % (1, "\\u0000", "\\u0000")))
    put(folder, "inaturalist", "cut", page % (12, one % (1, "", "")))
    put(folder, "inaturalist", "unfiltered", page % (250000000, one % (9, "", "")))
    put(folder, "inaturalist", "stranger", page % (1, one % (9, "", "")))


def large(folder):
    put(folder, "table", "10mb-field", bytes([23, 0, 255, 0]) + b"1\t" + b"x" * (10 << 20) + b"\n2\ty\n")
    put(folder, "table", "10mb-field-too-long", bytes([20, 0, 255, 0]) + b"1\t" + b"x" * (10 << 20) + b"\n2\ty\n")
    put(folder, "record", "10mb-field", b"1" + b"\t" * 14 + b'"' + b'""' * (5 << 20) + b'"\n2\n')
    put(folder, "eml", "10mb", "<eml><dataset><title>" + "x" * (10 << 20) + "</title></dataset></eml>")


def fixtures(source, folder):
    source = Path(source)
    answers = source / "gbif" / "api"
    for path in sorted((answers / "requests").glob("*.json")):
        put(folder, "predicate", path.stem, path.read_bytes())
    for path in sorted((answers / "responses").glob("*.json")):
        put(folder, "gbif", path.stem, path.read_bytes())
    for path in sorted((source / "inaturalist").glob("*.json")):
        put(folder, "inaturalist", path.stem, b"14150125,1,2,3\n" + path.read_bytes())
    documents = 0
    for path in sorted(source.glob("gbif/*/*.zip")):
        if path.stat().st_size < 50_000:
            put(folder, "archive", path.stem, path.read_bytes())
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                content = archive.read(name)
                seed = "%s-%s" % (path.stem, name.replace("/", "-"))
                if name == "meta.xml":
                    put(folder, "descriptor", seed, content)
                elif name.endswith(".xml") and len(content) < 20_000 and documents < 60:
                    documents += 1
                    put(folder, "eml", seed, content)
                elif name in ("occurrence.txt", "multimedia.txt"):
                    lines = content.split(b"\n")[:6]
                    put(folder, "table", seed, bytes([20, 1, 255, 0]) + b"\n".join(lines) + b"\n")
                    if name == "occurrence.txt":
                        put(folder, "record", seed, b"\n".join(lines[1:4]) + b"\n")


if __name__ == "__main__":
    commands = {"own": own, "large": large, "fixtures": fixtures}
    if len(sys.argv) < 3 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])
