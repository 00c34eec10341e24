;; Takes the place of each `memory.copy`: an engine calls out of the module for that, and most copies are of a few bytes. All is
;; read before anything is written, so the two may overlap.
(module
  (memory 0)
  (func (param $to i32) (param $from i32) (param $length i32)
    (local $to_end i32) (local $from_end i32)
    (local $byte i32) (local $word i32) (local $long i64)
    (local $first v128) (local $second v128) (local $third v128)
    (local.set $to_end (i32.add (local.get $to) (local.get $length)))
    (local.set $from_end (i32.add (local.get $from) (local.get $length)))
    (if (i32.gt_u (local.get $length) (i32.const 64))
      (then
        (memory.copy (local.get $to) (local.get $from) (local.get $length))
        (return)))
    (if (i32.ge_u (local.get $length) (i32.const 16))
      (then
        ;; From both ends, the same bytes twice where they meet.
        (local.set $first (v128.load (local.get $from)))
        (if (i32.gt_u (local.get $length) (i32.const 32))
          (then
            (local.set $second (v128.load offset=16 (local.get $from)))
            (local.set $third (v128.load (i32.sub (local.get $from_end) (i32.const 32))))
            (v128.store (i32.sub (local.get $to_end) (i32.const 16)) (v128.load (i32.sub (local.get $from_end) (i32.const 16))))
            (v128.store (i32.sub (local.get $to_end) (i32.const 32)) (local.get $third))
            (v128.store offset=16 (local.get $to) (local.get $second)))
          (else
            (v128.store (i32.sub (local.get $to_end) (i32.const 16)) (v128.load (i32.sub (local.get $from_end) (i32.const 16))))))
        (v128.store (local.get $to) (local.get $first))
        (return)))
    (if (i32.ge_u (local.get $length) (i32.const 8))
      (then
        (local.set $long (i64.load (local.get $from)))
        (i64.store (i32.sub (local.get $to_end) (i32.const 8)) (i64.load (i32.sub (local.get $from_end) (i32.const 8))))
        (i64.store (local.get $to) (local.get $long))
        (return)))
    (if (i32.ge_u (local.get $length) (i32.const 4))
      (then
        (local.set $word (i32.load (local.get $from)))
        (i32.store (i32.sub (local.get $to_end) (i32.const 4)) (i32.load (i32.sub (local.get $from_end) (i32.const 4))))
        (i32.store (local.get $to) (local.get $word))
        (return)))
    (if (local.get $length)
      (then
        (local.set $byte (i32.load8_u (local.get $from)))
        (local.set $word (i32.load8_u (i32.add (local.get $from) (i32.shr_u (local.get $length) (i32.const 1)))))
        (i32.store8 (i32.sub (local.get $to_end) (i32.const 1)) (i32.load8_u (i32.sub (local.get $from_end) (i32.const 1))))
        (i32.store8 (i32.add (local.get $to) (i32.shr_u (local.get $length) (i32.const 1))) (local.get $word))
        (i32.store8 (local.get $to) (local.get $byte))))))
