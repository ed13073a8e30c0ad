;; Implements the functions of wasi_snapshot_preview1 that Go's runtime imports, with only the host's clock, random
;; numbers and log: no files, no environment, no sockets. It does not allocate, because it runs before Go's heap exists.
(module
  (import "todohost:plugin/env@0.0.1" "now" (func $now (result i64)))
  (import "todohost:plugin/env@0.0.1" "random" (func $random (param i32 i32)))
  (import "todohost:plugin/log@0.0.1" "write" (func $log (param i32 i32 i32 i32 i32)))
  (import "env" "memory" (memory 0))

  (global $wall (mut i64) (i64.const 0))
  (global $monotonic (mut i64) (i64.const 1))
  ;; eight bytes of the engine's memory, set by the first refresh; the host cannot be called before that
  (global $scratch (mut i32) (i32.const 0))
  (global $target (mut i32) (i32.const 0))
  (global $room (mut i32) (i32.const 0))

  ;; The component must not call the host while the host stores the arguments of a call. Go's allocator can start a
  ;; collection at that moment, which reads the clock. So clocks are read from a cache; id 100 refreshes it. The wall
  ;; clock does not change between refreshes, so that rendered output does not depend on the collector.
  (func (export "clock_time_get") (param $id i32) (param i64) (param $result i32) (result i32)
    (if (i32.eq (local.get $id) (i32.const 100)) (then
      (global.set $scratch (local.get $result))
      (global.set $wall (call $now))))
    (global.set $monotonic (i64.add (global.get $monotonic) (i64.const 100)))
    (if (i32.eqz (local.get $id))
      (then (i64.store (local.get $result) (global.get $wall)))
      (else (i64.store (local.get $result) (global.get $monotonic))))
    (i32.const 0))

  ;; The host stores random bytes at the address returned here: the caller's own buffer.
  (func (export "cabi_import_realloc") (param i32 i32 i32) (param $size i32) (result i32)
    (if (i32.gt_u (local.get $size) (global.get $room)) (then unreachable))
    (global.get $target))
  (func (export "random_get") (param $buffer i32) (param $size i32) (result i32)
    (if (i32.eqz (global.get $scratch)) (then
      ;; before the first refresh, only the seeds of Go's hash tables are drawn; no output depends on them
      (memory.fill (local.get $buffer) (i32.const 77) (local.get $size))
      (return (i32.const 0))))
    (global.set $target (local.get $buffer))
    (global.set $room (local.get $size))
    (call $random (local.get $size) (global.get $scratch))
    (if (i32.ne (i32.load offset=4 (global.get $scratch)) (local.get $size)) (then unreachable))
    (i32.const 0))

  ;; Go writes only its crash message.
  (func (export "fd_write") (param i32) (param $part i32) (param $parts i32) (param $written i32) (result i32)
    (local $total i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $parts)))
        (call $log (i32.const 4) (i32.load (local.get $part)) (i32.load offset=4 (local.get $part))
          (i32.const 0) (i32.const 0))
        (local.set $total (i32.add (local.get $total) (i32.load offset=4 (local.get $part))))
        (local.set $part (i32.add (local.get $part) (i32.const 8)))
        (local.set $parts (i32.sub (local.get $parts) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $written) (local.get $total))
    (i32.const 0))

  ;; A sleep returns at once and advances the monotonic clock by its duration.
  (func (export "poll_oneoff") (param $in i32) (param $out i32) (param i32) (param $events i32) (result i32)
    (if (i32.eqz (i32.load8_u offset=8 (local.get $in))) (then
      (global.set $monotonic (i64.add (global.get $monotonic) (i64.load offset=24 (local.get $in))))))
    (memory.fill (local.get $out) (i32.const 0) (i32.const 32))
    (i64.store (local.get $out) (i64.load (local.get $in)))
    (i32.store (local.get $events) (i32.const 1))
    (i32.const 0))
  (func (export "sched_yield") (result i32) (i32.const 0))
  (func (export "proc_exit") (param i32) unreachable)

  ;; one argument, an empty program name, because libraries expect at least one
  (func (export "args_sizes_get") (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 1)) (i32.store (local.get $bytes) (i32.const 1)) (i32.const 0))
  (func (export "args_get") (param $arguments i32) (param $buffer i32) (result i32)
    (i32.store (local.get $arguments) (local.get $buffer))
    (i32.store8 (local.get $buffer) (i32.const 0))
    (i32.const 0))
  ;; no environment
  (func (export "environ_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "environ_sizes_get") (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0)) (i32.store (local.get $bytes) (i32.const 0)) (i32.const 0))

  ;; no files: 8 is "bad descriptor", 44 "no such file"
  (func (export "fd_close") (param i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_filestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_read") (param i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_sync") (param i32) (result i32) (i32.const 8))
  (func (export "path_create_directory") (param i32 i32 i32) (result i32) (i32.const 44))
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) (i32.const 44))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 44))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 44))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 44))
  (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 44))
  (func (export "path_remove_directory") (param i32 i32 i32) (result i32) (i32.const 44))
  (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 44))
  (func (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32) (i32.const 44))
  (func (export "path_unlink_file") (param i32 i32 i32) (result i32) (i32.const 44))
  (func (export "sock_accept") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_shutdown") (param i32 i32) (result i32) (i32.const 8))
)
