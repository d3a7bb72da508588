"""RocksDB for a sidecar: little memory, few files, a short write-ahead log.

What it comes to, besides the heap of Python: memtables of at most three logs of LOG_BYTES (seldom more than two), about
a third larger than those, CACHE_BYTES of blocks, and the index and filter blocks of the open files. Those stay on the
heap and out of the cache on purpose: with a cache this small they would push each other out, and a point read went from
6 to 400 µs.
"""

from rocksdict import BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, Options, Rdict

from fairlead.store.families import Family

MIB = 1 << 20
# What is written to one log before the commit writer closes it and has the families flushed to files: the next one is
# written meanwhile. Bounds how long an opening after a kill takes as well: about 0.1 s.
LOG_BYTES = 10 * MIB
# From here on a sync is under way already, so that little is left to be synced when the log is closed.
SYNC_AHEAD_BYTES = LOG_BYTES * 7 // 8
# RocksDB must not close a log by itself: it would not sync it first, and a power cut could take the end of the closed
# log and leave the beginning of the next.
_NEVER_BYTES = 1 << 30
CACHE_BYTES = 8 * MIB
OPEN_FILES = 256
SST_BYTES = 16 * MIB
INFO_LOG_BYTES = MIB
# Families whose keys come and go: without a periodic compaction the space of what was deleted could stay taken. In
# SEALS little goes, but what was erased has to be gone from the files within some days.
CHURNING = (Family.STATE, Family.REQUESTS, Family.BLOBS, Family.CHECKPOINTS, Family.SEALS)
_COMPACTION_SECONDS = 24 * 3600
# Of runs the open ones come and go, and old ones are deleted; of tool calls and approvals the oldest go at once, if at
# all. To rewrite all the others every day would be too much.
_TOMBSTONED = (*CHURNING, Family.RUNS, Family.TOOLS, Family.APPROVALS)
# Families that are read by whole keys, most of which are not there.
_POINT_READ = (
    Family.REQUESTS,
    Family.BLOBS,
    Family.INVOCATIONS,
    Family.TOOLS,
    Family.APPROVALS,
    # What a put asks for is new, as a rule.
    Family.CHECKPOINTS,
)


def database_options(*, compression: bool = True) -> Options:
    """Options of the database; also those of its unused default family."""
    options = _family_options(compression)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_max_total_wal_size(_NEVER_BYTES)
    # A torn tail is what a kill leaves behind; everything before the first damage is a consistent prefix.
    options.set_wal_recovery_mode(DBRecoveryMode.point_in_time())
    options.set_max_open_files(OPEN_FILES)
    options.set_max_background_jobs(2)
    options.set_max_log_file_size(INFO_LOG_BYTES)
    options.set_keep_log_file_num(2)
    options.set_max_manifest_file_size(4 * MIB)
    options.set_stats_dump_period_sec(0)
    options.set_stats_persist_period_sec(0)
    options.set_skip_stats_update_on_db_open(True)
    return options


def family_options(*, compression: bool = True) -> dict[str, Options]:
    """Options of each family by the name of its column family."""
    cache = Cache(CACHE_BYTES)
    options = {}
    for family in Family:
        table = BlockBasedOptions()
        table.set_block_cache(cache)
        table.set_cache_index_and_filter_blocks(False)
        if family in _POINT_READ:
            table.set_bloom_filter(10, False)
        of_family = _family_options(compression)
        of_family.set_block_based_table_factory(table)
        if family in _TOMBSTONED:
            # Runs of tombstones (an ended hold is one) make the scans of a recovery slow.
            of_family.add_compact_on_deletion_collector_factory(4096, 2048, 0.5)
        options[family.column_family] = of_family
    return options


def compact_periodically(families: dict[Family, Rdict]) -> None:
    """Bounds how long deleted keys keep their space."""
    for family in CHURNING:
        families[family].set_options({"periodic_compaction_seconds": str(_COMPACTION_SECONDS)})


def _family_options(compression: bool) -> Options:
    options = Options(raw_mode=True)
    options.set_write_buffer_size(_NEVER_BYTES)
    options.set_max_write_buffer_number(3)
    options.set_target_file_size_base(SST_BYTES)
    options.set_max_bytes_for_level_base(4 * SST_BYTES)
    options.set_compression_type(DBCompressionType.lz4() if compression else DBCompressionType.none())
    if compression:
        options.set_bottommost_compression_type(DBCompressionType.zstd())
    return options
