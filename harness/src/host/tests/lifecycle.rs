//! Start, configuration, ticks, queues, the end, and every way to die.
use super::guest::{Guest, get, said};
use crate::host::*;
use std::time::Duration;

const SPIN: &str = "(loop $l (br $l))";
const BOMB: &str = "(if (i32.eq (memory.grow (i32.const 4096)) (i32.const -1)) (then (unreachable)))";

fn module(guest: &Guest) -> Module {
    let options = ModuleOptions { interruptible: true, metered: true, cache: None };
    Module::from_bytes(&guest.wasm(), &options).unwrap()
}

/// Options that stop a runaway guest in each way.
fn bounded(time: Option<u64>, fuel: Option<u64>) -> VmOptions {
    let limits = HostLimits { memory_bytes: 4 << 20, ..HostLimits::default() };
    let time_limit = time.map(Duration::from_millis);
    VmOptions { time_limit, fuel_limit: fuel, limits, ..VmOptions::default() }
}

#[test]
fn every_death_is_told_apart_and_final() {
    let table: &[(&str, VmOptions, &str)] = &[
        ("(unreachable)", bounded(None, None), "trap in proxy_on_request_headers"),
        (SPIN, bounded(Some(20), None), "proxy_on_request_headers exceeded its time limit of 20ms"),
        (SPIN, bounded(None, Some(10_000)), "proxy_on_request_headers used up its fuel of 10000"),
        (BOMB, bounded(None, None), "proxy_on_request_headers exceeded the memory limit of 4194304 bytes"),
    ];
    for (body, options, expected) in table {
        for fail_open in [false, true] {
            let world = SharedWorld::default();
            let options = VmOptions { fail_open, ..options.clone() };
            let guest = Guest::new().on("proxy_on_request_headers", body);
            let mut vm = Vm::start(&module(&guest), &world, options).unwrap();
            let mut stream = vm.open_stream(Properties::new()).unwrap();
            let error = stream.request_headers(get(), true).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
            check_fate(&stream, fail_open);
            stream.finish();
            assert_eq!((vm.is_dead(), vm.cause_of_death()), (true, Some(&error)));
            let mut next = vm.open_stream(Properties::new()).unwrap();
            next.request_headers(get(), true).unwrap();
            check_fate(&next, fail_open);
            next.finish();
            assert_eq!(vm.tick().unwrap_err(), HostError::Dead);
            assert_eq!(vm.configure(b"").unwrap_err(), HostError::Dead);
        }
    }
}

fn check_fate(stream: &HttpStream<'_>, fail_open: bool) {
    match stream.request_verdict() {
        Verdict::Forwarded(message) if fail_open => assert_eq!(message.headers, get()),
        Verdict::LocalReply(reply) if !fail_open => {
            assert_eq!((reply.status, reply.details.as_str()), (503, "wasm_fail_stream"));
            assert!(reply.body.is_empty());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn dying_in_a_body_or_at_the_end_is_seen() {
    let world = SharedWorld::default();
    let mut vm = Guest::new().on("proxy_on_request_body", "(unreachable)").vm(&world, VmOptions::default());
    let mut stream = vm.open_stream(Properties::new()).unwrap();
    stream.request_headers(get(), false).unwrap();
    stream.request_body(b"a", true).unwrap_err();
    assert!(matches!(stream.request_verdict(), Verdict::LocalReply(_)));
    let mut vm = Guest::new().on("proxy_on_log", "(unreachable)").vm(&world, VmOptions::default());
    let mut stream = vm.open_stream(Properties::new()).unwrap();
    stream.request_headers(get(), true).unwrap();
    let finished = stream.finish();
    assert_eq!(finished.request.headers, get());
    assert!(matches!(finished.fault, Some(HostError::Trap { callback: "proxy_on_log", .. })));
    assert_eq!(vm.streams().count(), 0);
}

#[test]
fn starts_and_configurations_can_be_refused() {
    let world = SharedWorld::default();
    let start = |guest: Guest| Vm::start(&guest.module(), &world, VmOptions::default());
    let refused = start(Guest::new().on("proxy_on_vm_start", "(return (i32.const 0))"));
    assert_eq!(refused.unwrap_err(), HostError::StartRefused);
    let early = start(Guest::new().on("_initialize", "(drop (call $proxy_done))"));
    assert!(early.unwrap_err().to_string().contains("proxy_done called while starting"));
    start(Guest::new().on("_initialize", "(call $say (i32.const 5))")).unwrap();
    assert_eq!(said(&world), "5");
    let mut vm = start(Guest::new().on("proxy_on_configure", "(return (i32.const 0))")).unwrap();
    assert_eq!(vm.configure(b"x").unwrap_err(), HostError::ConfigurationRefused);
    assert!(vm.is_dead());
    let plain = Guest::new().module();
    let options = |time, fuel| Vm::start(&plain, &world, bounded(time, fuel)).unwrap_err();
    assert_eq!(options(Some(1), None), HostError::NotInterruptible);
    assert_eq!(options(None, Some(1)), HostError::NotMetered);
    let limits = HostLimits { memory_bytes: 65536, ..HostLimits::default() };
    let small = Vm::start(&plain, &world, VmOptions { limits, ..VmOptions::default() }).unwrap_err();
    assert!(matches!(small, HostError::MemoryLimit { .. }), "{small}");
}

#[test]
fn ticks_follow_the_virtual_clock() {
    let world = SharedWorld::default();
    let guest = Guest::new()
        .on("proxy_on_configure", "(call $say (call $proxy_set_tick_period_milliseconds (i32.const 100)))")
        .on("proxy_on_tick", "(call $say (local.get 0))");
    let mut vm = guest.vm(&world, VmOptions::default());
    assert_eq!(vm.tick_period(), None);
    vm.configure(b"").unwrap();
    assert_eq!(vm.tick_period(), Some(Duration::from_millis(100)));
    let ticks: Vec<_> = [50_000_000, 50_000_000, 99_999_999, 1, 900_000_000]
        .map(|step| {
            world.advance(step);
            vm.tick_if_due().unwrap()
        })
        .into();
    assert_eq!(ticks, [false, true, false, true, true]);
    assert_eq!(vm.next_tick(), Some(1_200_000_000));
    assert_eq!(said(&world), "0 1 1 1");
}

#[test]
fn two_instances_share_data_queues_and_metrics() {
    let world = SharedWorld::default();
    let write = r#"(call $say (call $proxy_get_shared_data "k" OUT (i32.const 50008)))
        (call $say (call $proxy_set_shared_data "k" "v" (i32.load (i32.const 50008))))"#;
    let stale = r#"(call $say (call $proxy_set_shared_data "k" "w" (i32.const 1)))"#;
    let first = Guest::new()
        .on("proxy_on_configure", r#"(call $say (call $proxy_register_shared_queue "q" (i32.const 50000)))"#)
        .on("proxy_on_tick", write)
        .on("proxy_on_queue_ready", "(call $say (call $proxy_dequeue_shared_queue (local.get 1) OUT)) (call $show)")
        .on("proxy_on_vm_start", r#"(drop (call $proxy_define_metric (i32.const 0) "c" (i32.const 50000))) (drop (call $proxy_increment_metric (i32.const 4) (i64.const 2)))"#);
    let second = Guest::new().on("proxy_on_tick", stale).on(
        "proxy_on_configure",
        r#"(call $say (call $proxy_resolve_shared_queue "" "q" (i32.const 50000))) (call $say (call $proxy_enqueue_shared_queue (i32.load (i32.const 50000)) "item"))"#,
    );
    let mut one = first.vm(&world, VmOptions::default());
    let mut again = first.vm(&world, VmOptions::default());
    let mut two = second.vm(&world, VmOptions::default());
    one.tick().unwrap();
    again.tick().unwrap();
    two.tick().unwrap();
    assert_eq!(said(&world), "1 0 0 0 8");
    assert_eq!(world.shared_value("", b"k"), Some((b"v".to_vec(), 2)));
    one.configure(b"").unwrap();
    two.configure(b"").unwrap();
    assert_eq!((two.deliver_queues().unwrap(), one.deliver_queues().unwrap()), (0, 1));
    assert_eq!(said(&world), "0 0 0 0 item");
    assert_eq!(world.metric(MetricKind::Counter, "c"), Some(MetricValue::Counter(4)));
}

#[test]
fn randomness_is_seeded_by_world_and_instance() {
    let import =
        r#"(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#;
    let draw = "(drop (call $random (i32.const 100) (i32.const 4))) (call $say (i32.load (i32.const 100)))";
    let module = Guest::new().import(import).on("proxy_on_tick", draw).module();
    let run = |seed| {
        let world = SharedWorld::new(0, seed, HostLimits::default());
        for _ in 0..2 {
            Vm::start(&module, &world, VmOptions::default()).unwrap().tick().unwrap();
        }
        said(&world)
    };
    let (first, second) = (run(1), run(2));
    assert_eq!(first, run(1));
    assert_ne!(first, second);
    let numbers: Vec<_> = first.split(' ').collect();
    assert_ne!(numbers[0], numbers[1]);
}

#[test]
fn the_root_ends_now_or_later() {
    let world = SharedWorld::default();
    let delete = "(drop (call $proxy_log (i32.const 2) \"deleted\"))";
    let guest = Guest::new().on("proxy_on_delete", delete);
    assert!(guest.vm(&world, VmOptions::default()).shut_down().unwrap());
    assert_eq!(said(&world), "deleted");
    let later = guest
        .on("proxy_on_done", "(return (i32.const 0))")
        .on("proxy_on_tick", "(call $say (call $proxy_done))");
    let mut vm = later.vm(&world, VmOptions::default());
    assert!(!vm.shut_down().unwrap());
    vm.tick().unwrap();
    vm.tick().unwrap();
    assert_eq!(said(&world), "0 deleted 1");
}

#[test]
fn what_guests_make_the_host_hold_is_bounded() {
    let limits = HostLimits {
        shared_data_bytes: 3,
        queues: 1,
        queue_bytes: 64,
        metrics: 1,
        log_lines: 30,
        log_line_bytes: 4,
        header_count: 5,
        callouts: 1,
        filter_state_bytes: 8,
        streams: 1,
        ..HostLimits::default()
    };
    let table = [
        (
            r#"(call $say (call $proxy_set_shared_data "k" "12" (i32.const 0))) (call $say (call $proxy_set_shared_data "k" "123" (i32.const 0))) (call $say (call $proxy_set_shared_data "l" "" (i32.const 0)))"#,
            "0 10 10",
        ),
        (
            r#"(call $say (call $proxy_register_shared_queue "q" (i32.const 50000))) (call $say (call $proxy_register_shared_queue "r" (i32.const 50000))) (call $say (call $proxy_enqueue_shared_queue (i32.const 1) "")) (call $say (call $proxy_enqueue_shared_queue (i32.const 1) ""))"#,
            "0 10 0 10",
        ),
        (
            r#"(call $say (call $proxy_define_metric (i32.const 0) "c" (i32.const 50000))) (call $say (call $proxy_define_metric (i32.const 0) "c" (i32.const 50000))) (call $say (call $proxy_define_metric (i32.const 1) "g" (i32.const 50000)))"#,
            "0 10 10",
        ),
        (r#"(call $say (call $proxy_add_header_map_value (i32.const 0) "a" "b"))"#, "10"),
        (
            r#"(call $say (call $proxy_set_property "a" "12")) (call $say (call $proxy_set_property "a" "34")) (call $say (call $proxy_set_property "a" "123"))"#,
            "0 0 10",
        ),
        (r#"(drop (call $proxy_log (i32.const 2) "truncated"))"#, "trun"),
    ];
    for (body, expected) in table {
        let world = SharedWorld::new(0, 0, limits.clone());
        let options = VmOptions { limits: limits.clone(), ..VmOptions::default() };
        let mut vm = Guest::new().on("proxy_on_request_headers", body).vm(&world, options);
        let mut stream = vm.open_stream(Properties::new()).unwrap();
        stream.request_headers(get(), true).unwrap();
        assert_eq!(said(&world), expected, "{body}");
        assert_eq!(vm.open_stream(Properties::new()).unwrap_err(), HostError::TooManyStreams { limit: 1 });
    }
    let world = SharedWorld::new(0, 0, limits);
    let many = "(loop $l (call $say (local.get 0)) (br_if $l (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 41))))";
    Guest::new().on("proxy_on_tick", many).vm(&world, VmOptions::default()).tick().unwrap();
    assert_eq!((world.take_logs().len(), world.dropped_logs()), (30, 10));
}

#[test]
fn instances_can_move_between_threads() {
    fn sendable<T: Send>() {}
    sendable::<Vm>();
    sendable::<Module>();
    sendable::<SharedWorld>();
}
