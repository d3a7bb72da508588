//! After a crash everything that was committed is there, and nothing else.
use fairlead_engine::{Salts, family};
use fairlead_wire::internal::WindowKind;

use crate::bench::{Bench, MINUTE, budget, call, compile, config, recovered, used};

#[test]
fn the_recovered_state_is_the_state_before() {
    let mut config = config();
    for (name, scope, window) in [
        ("day", "tenant", WindowKind::Day),
        ("run", "run", WindowKind::Lifetime),
        ("roll", "agent", WindowKind::Rolling),
    ] {
        let mut one = budget(name, &[scope], window);
        one.limit_nano_usd = Some(100_000);
        one.rolling_millis = if window == WindowKind::Rolling { 600_000 } else { 0 };
        config.budgets.push(one);
    }
    let mut bench = Bench::given(config);
    for number in 0..20 {
        let hold = bench
            .after(MINUTE)
            .admit(&call(&format!("c-{number}"), 100, 100))
            .unwrap()
            .invocation;
        match number % 3 {
            0 => drop(bench.settle(&hold, vec![used("small", 100, number)]).unwrap()),
            1 => drop(bench.release(&hold).unwrap()),
            _ => {}
        }
        bench.expire();
        let before = bench.budgets();
        bench.crash();
        assert_eq!(bench.budgets(), before);
    }
}

#[test]
fn a_record_that_cannot_be_understood_stops_recovery() {
    let mut engine = fairlead_engine::Engine::new(compile(&config()), Salts::new([7; 32]));
    assert!(engine.recover(family::STATE, b"\x00", b"").is_err());
    assert!(
        engine
            .recover(family::STATE, b"\x00\x01ao0123456789abcdef", b"\xff")
            .is_err()
    );
    assert!(engine.recover(family::AUDIT, &1_u64.to_be_bytes(), b"short").is_err());
    assert!(engine.recover(family::REQUESTS, b"x", b"").is_err());
    assert!(engine.recover(family::CONFIG, b"x", b"").is_ok());
    assert!(engine.recover(family::STATE, b"\x00\x00mformat", b"1").is_ok());
}

#[test]
fn the_last_audit_record_alone_continues_the_chain() {
    let mut bench = Bench::given(config());
    bench.admit(&call("a", 1, 1)).unwrap();
    let last = bench
        .store
        .keys()
        .rfind(|(family, _)| *family == family::AUDIT)
        .cloned()
        .unwrap();
    bench.store.retain(|key, _| key.0 != family::AUDIT || *key == last);
    bench.crash();
    bench.admit(&call("b", 1, 1)).unwrap();
    assert_eq!(bench.last().sequence, 3);
}

#[test]
fn the_same_commands_give_the_same_bytes() {
    let run = || {
        let mut bench = Bench::given(config());
        for number in 0..10 {
            let hold = bench
                .after(MINUTE)
                .admit(&call(&format!("c-{number}"), 100, 100))
                .unwrap()
                .invocation;
            bench.settle(&hold, vec![used("small", 100, number)]).unwrap();
        }
        bench.store
    };
    assert_eq!(run(), run());
}

#[test]
fn a_hundred_thousand_holds_come_back() {
    let config = config();
    let mut bench = Bench::given(config.clone());
    bench.admit(&call("a", 1, 1)).unwrap();
    let (key, value) = bench
        .store
        .iter()
        .find(|((family, _), _)| *family == family::STATE)
        .unwrap();
    let (key, value) = (key.1.clone(), value.clone());
    let mut store = std::collections::BTreeMap::new();
    for number in 0..100_000_u32 {
        let mut key = key.clone();
        let at = key.len() - 4;
        key[at..].copy_from_slice(&number.to_be_bytes());
        store.insert((family::STATE, key), value.clone());
    }
    let engine = recovered(compile(&config), &store, bench.now);
    assert_eq!(engine.open_reservations(), 100_000);
}
