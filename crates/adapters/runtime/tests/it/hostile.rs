//! Files that no runtime should see: each is refused with its own error, and none takes long.

use proptest::prelude::*;
use runtime::embedded::Embedded;
use runtime::guard::{GuardLimits, inspect};
use runtime::{Budget, LoadLimits, Runtime, RuntimeError, Tensor, TensorData};

use super::cases;
use super::proto::{Message, floats, graph, model, node, value};

fn refused(bytes: &[u8]) -> RuntimeError {
    inspect(bytes, &GuardLimits::default()).unwrap_err()
}

fn identity() -> Message {
    node("Identity", "", &["X"], &["Y"])
}

#[test]
fn a_plain_model_passes() {
    let bytes = model(&graph(&[identity()], &[]));
    let inspected = inspect(&bytes, &GuardLimits::default()).unwrap();
    assert_eq!(inspected.facts.operators, ["ai.onnx:Identity"]);
    assert_eq!((inspected.facts.nodes, inspected.facts.parameters), (1, 0));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn hostile_files_are_refused_each_for_its_reason() {
    let external = Message::default()
        .text(1, "location")
        .text(2, "../../etc/passwd");
    let outside = Message::default()
        .int(1, 4)
        .int(2, 1)
        .text(8, "w")
        .message(13, &external);
    let marked = Message::default()
        .int(1, 4)
        .int(2, 1)
        .text(8, "w")
        .int(14, 1);
    let giant = Message::default()
        .int(1, 1 << 40)
        .int(1, 1 << 40)
        .int(2, 1)
        .text(8, "w");
    let liar = floats("w", &[1000], &[1.0]);
    let negative = floats("w", &[-5], &[1.0]);
    let twice = floats("w", &[1], &[1.0]).float(4, 2.0);
    let strange = Message::default()
        .int(1, 1)
        .int(2, 99)
        .text(8, "w")
        .bytes(9, &[0; 4]);
    let one = |constant: Message| graph(&[identity()], &[constant]);
    let shape = {
        let raw: Vec<u8> = (1_i64 << 40).to_le_bytes().to_vec();
        Message::default()
            .int(1, 1)
            .int(2, 7)
            .text(8, "s")
            .bytes(9, &raw)
    };
    let cycle = [
        node("Add", "", &["X", "b"], &["a"]).text(3, "first"),
        node("Neg", "", &["a"], &["b"]).text(3, "second"),
        node("Identity", "", &["a"], &["Y"]),
    ];
    let mut deep = graph(&[identity()], &[]);
    for _ in 0..20 {
        let attribute = Message::default()
            .text(1, "body")
            .message(6, &deep)
            .int(20, 5);
        deep = graph(
            &[node("Loop", "", &["X"], &["Y"]).message(5, &attribute)],
            &[],
        );
    }
    let stray = Message::default()
        .text(1, "a")
        .message(5, &giant)
        .int(2, 0)
        .int(20, 2);
    let function = Message::default().text(1, "f");
    let sound = model(&graph(&[identity()], &[]));
    let doubled = [
        sound.clone(),
        Message::default().message(7, &graph(&[identity()], &[])).0,
    ]
    .concat();
    let newer = Message::default()
        .int(1, 8)
        .message(7, &graph(&[identity()], &[]))
        .message(8, &Message::default().text(1, "").int(2, 9000))
        .0;
    let with_function = [sound.clone(), Message::default().message(25, &function).0].concat();
    let with_training = [sound.clone(), Message::default().message(20, &function).0].concat();
    let sequence = {
        let kind = Message::default().message(4, &Message::default());
        let input = Message::default().text(1, "S").message(2, &kind);
        graph(&[identity()], &[]).message(11, &input)
    };
    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", Vec::new(), "Corrupt"),
        ("text", b"PK\x03\x04 this is no model".to_vec(), "Corrupt"),
        ("two graphs", doubled, "Corrupt"),
        ("external data", model(&one(outside)), "ExternalData"),
        ("external mark", model(&one(marked)), "ExternalData"),
        ("giant tensor", model(&one(giant.clone())), "TooLarge"),
        ("fewer bytes than declared", model(&one(liar)), "Corrupt"),
        ("negative dimension", model(&one(negative)), "Corrupt"),
        ("data twice", model(&one(twice)), "Corrupt"),
        ("unknown element type", model(&one(strange)), "Corrupt"),
        (
            "tensor hidden in an integer",
            model(&graph(&[identity().message(5, &stray)], &[])),
            "Corrupt",
        ),
        (
            "giant made at run time",
            model(&graph(
                &[node("ConstantOfShape", "", &["s"], &["Y"])],
                std::slice::from_ref(&shape),
            )),
            "TooLarge",
        ),
        (
            "giant repeat",
            model(&graph(&[node("Tile", "", &["X", "s"], &["Y"])], &[shape])),
            "TooLarge",
        ),
        (
            "custom domain",
            model(&graph(&[node("Run", "com.evil", &["X"], &["Y"])], &[])),
            "CustomDomain",
        ),
        (
            "unknown operator",
            model(&graph(&[node("Frobnicate", "", &["X"], &["Y"])], &[])),
            "UnknownOperator",
        ),
        (
            "unknown classical operator",
            model(&graph(&[node("Oracle", "ai.onnx.ml", &["X"], &["Y"])], &[])),
            "UnknownOperator",
        ),
        ("cycle", model(&graph(&cycle, &[])), "Cycle"),
        (
            "feeds itself",
            model(&graph(&[node("Add", "", &["X", "Y"], &["Y"])], &[])),
            "Cycle",
        ),
        (
            "output made twice",
            model(&graph(&[identity(), identity()], &[])),
            "Unsound",
        ),
        (
            "reads what nothing makes",
            model(&graph(&[node("Add", "", &["X", "ghost"], &["Y"])], &[])),
            "Unsound",
        ),
        (
            "no output",
            model(&graph(&[node("Identity", "", &["X"], &["Z"])], &[])),
            "Unsound",
        ),
        ("deep subgraphs", model(&deep), "TooLarge"),
        ("own functions", with_function, "Unsound"),
        ("training graphs", with_training, "Unsound"),
        ("operator set of the future", newer, "Unsound"),
        ("sequence input", model(&sequence), "Shape"),
        (
            "giant input",
            model(&graph(&[identity()], &[]).message(11, &value("G", 1, &[1 << 40]))),
            "TooLarge",
        ),
        (
            "half precision input",
            model(&graph(&[identity()], &[]).message(11, &value("H", 10, &[1]))),
            "Shape",
        ),
    ];
    for (what, bytes, kind) in table {
        let error = refused(&bytes);
        assert!(format!("{error:?}").starts_with(kind), "{what}: {error:?}");
        let loaded = Embedded.load(&bytes, &LoadLimits::default()).err();
        assert_eq!(loaded, Some(error), "{what}: the runtime asks the guard");
    }
}

#[test]
fn limits_hold() {
    let nodes: Vec<Message> = (0..50)
        .map(|i| node("Neg", "", &["X"], &[&format!("t{i}")]))
        .chain([identity()])
        .collect();
    let bytes = model(&graph(&nodes, &[]));
    let with = |change: fn(&mut GuardLimits)| {
        let mut limits = GuardLimits::default();
        change(&mut limits);
        inspect(&bytes, &limits).map(|_| ())
    };
    assert_eq!(with(|_| {}), Ok(()));
    let table: [fn(&mut GuardLimits); 3] = [
        |limits| limits.max_nodes = 50,
        |limits| limits.max_items = 100,
        |limits| limits.max_bytes = 100,
    ];
    for change in table {
        assert!(matches!(with(change), Err(RuntimeError::TooLarge { .. })));
    }
    let refused = with(|limits| limits.domains = vec!["ai.onnx.ml".to_owned()]);
    assert!(matches!(refused, Err(RuntimeError::CustomDomain { .. })));
}

#[test]
fn trees_that_point_in_a_circle_are_refused() {
    let list = |name: &str, values: &[i64]| {
        let mut attribute = Message::default().text(1, name);
        for value in values {
            attribute = attribute.int(8, *value);
        }
        attribute.int(20, 7)
    };
    let circle = node("TreeEnsembleRegressor", "ai.onnx.ml", &["X"], &["Y"])
        .message(5, &list("nodes_treeids", &[0, 0, 0]))
        .message(5, &list("nodes_nodeids", &[0, 1, 2]))
        .message(5, &list("nodes_featureids", &[0, 0, 0]))
        .message(5, &list("nodes_truenodeids", &[1, 0, 0]))
        .message(5, &list("nodes_falsenodeids", &[2, 2, 0]))
        .message(
            5,
            &Message::default()
                .text(1, "nodes_values")
                .float(7, 0.5)
                .float(7, 0.5)
                .float(7, 0.5)
                .int(20, 6),
        )
        .message(
            5,
            &Message::default()
                .text(1, "nodes_modes")
                .text(9, "BRANCH_LEQ")
                .text(9, "BRANCH_LEQ")
                .text(9, "LEAF")
                .int(20, 8),
        );
    let bytes = model(&graph(&[circle], &[]));
    let error = Embedded.load(&bytes, &LoadLimits::default()).err().unwrap();
    assert!(error.to_string().contains("circle"), "{error}");
}

#[test]
fn a_constant_made_giant_by_its_input_meets_the_memory_limit() {
    // The guard cannot know the shape: it comes with the call.
    let shape_input = value("S", 7, &[1]);
    let graph = Message::default()
        .message(1, &node("ConstantOfShape", "", &["S"], &["C"]))
        .message(1, &node("Scaler", "ai.onnx.ml", &["C"], &["Y"]))
        .text(2, "g")
        .message(11, &shape_input)
        .message(12, &value("Y", 1, &[-1]));
    let session = Embedded
        .load(&model(&graph), &LoadLimits::default())
        .unwrap();
    let call = |size: i64| {
        let shape = Tensor::new("S", vec![1], TensorData::I64(vec![size])).unwrap();
        session.run(vec![shape], &Budget::default())
    };
    assert!(call(4).is_ok());
    assert!(matches!(call(1 << 40), Err(RuntimeError::TooLarge { .. })));
    assert!(matches!(call(i64::MAX), Err(RuntimeError::TooLarge { .. })));
    assert!(matches!(call(-1), Err(RuntimeError::Shape { .. })));
}

#[test]
fn every_prefix_of_a_model_is_refused_or_sound() {
    for name in ["logistic", "tree", "mixed"] {
        let bytes = cases::model(name);
        for length in 0..bytes.len() {
            if let Ok(session) = Embedded.load(&bytes[..length], &LoadLimits::default()) {
                assert!(!session.signature().outputs.is_empty());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn changed_bytes_never_panic(
        which in 0_usize..4,
        changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..6),
        cut in any::<u16>(),
    ) {
        let name = ["logistic", "boosting_three", "mixed", "vectors"][which];
        let case = cases::case(name);
        let mut bytes = case.model;
        for (place, byte) in changes {
            let place = usize::from(place) % bytes.len();
            bytes[place] = byte;
        }
        if cut % 4 == 0 {
            bytes.truncate(usize::from(cut) % bytes.len());
        }
        let mut limits = LoadLimits::default();
        limits.call.memory_bytes = 64 << 20;
        if let Ok(session) = Embedded.load(&bytes, &limits) {
            let _ = session.run(case.inputs, &Budget::default());
        }
    }
}
