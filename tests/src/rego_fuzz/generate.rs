//! Policies and inputs from a seed: small, of all constructs that Remit serves, and mostly defined.

use std::fmt::Write;

use serde_json::{Value, json};

use super::dice::Dice;

/// One generated case.
#[derive(Debug, Clone)]
pub struct Case {
    /// A module of package `fuzz` with a rule `decision`.
    pub policy: String,
    /// The inputs that it is evaluated on.
    pub inputs: Vec<Value>,
}

/// The case of a seed.
#[must_use]
pub fn case(seed: u64) -> Case {
    let mut writer =
        Writer { dice: Dice(seed), rules: Vec::new(), functions: Vec::new(), vars: Vec::new(), next: 0 };
    let policy = writer.module();
    let inputs = (0..3).map(|_| input(&mut writer.dice)).collect();
    Case { policy, inputs }
}

/// The input with another value somewhere, and where: the members' names from the root.
#[must_use]
pub fn mutated(input: &Value, seed: u64) -> (Value, Vec<String>) {
    let mut dice = Dice(seed);
    let (mut changed, mut path) = (input.clone(), Vec::new());
    let mut at = &mut changed;
    loop {
        // One name that no policy reads.
        let name = if dice.chance(2) { "unread" } else { dice.pick(FIELDS) };
        path.push(name.to_owned());
        let Value::Object(members) = at else { unreachable!("only objects are gone into") };
        let member = members.entry(name).or_insert(Value::Null);
        if !member.is_object() || dice.chance(3) {
            *member = json!({"changed": [seed]});
            return (changed, path);
        }
        at = member;
    }
}

/// The data that all cases have.
#[must_use]
pub fn data() -> Value {
    json!({
        "list": [1, "a", {"id": "x", "n": 3}, null],
        "map": {"a": 1, "b": [1, 2], "c": {"a": true}},
        "roles": {"admin": ["read", "write"], "guest": ["read"]},
    })
}

const FIELDS: &[&str] = &["a", "b", "c", "xs", "o"];
const SCALARS: &[&str] =
    &["0", "1", "2", "3", "-1", "2.5", "\"\"", "\"a\"", "\"b\"", "\"x/y\"", "true", "false", "null"];

fn input(dice: &mut Dice) -> Value {
    let mut fields = serde_json::Map::new();
    for field in FIELDS {
        if dice.chance(8) {
            fields.insert((*field).to_owned(), value(dice, 2));
        }
    }
    Value::Object(fields)
}

fn value(dice: &mut Dice, depth: usize) -> Value {
    if depth == 0 || dice.chance(5) {
        return serde_json::from_str(dice.pick(SCALARS)).unwrap_or_default();
    }
    let below = depth.saturating_sub(1);
    let size = dice.roll(4);
    if dice.chance(5) {
        (0..size).map(|_| value(dice, below)).collect()
    } else {
        let fields = (0..size).map(|_| (dice.pick(FIELDS).to_owned(), value(dice, below)));
        Value::Object(fields.collect())
    }
}

struct Writer {
    dice: Dice,
    rules: Vec<String>,
    functions: Vec<String>,
    vars: Vec<String>,
    next: usize,
}

impl Writer {
    fn module(&mut self) -> String {
        let mut text = "package fuzz\n".to_owned();
        for i in 0..self.dice.roll(4).saturating_add(1) {
            let rule = self.rule(i);
            let _ = writeln!(text, "\n{rule}");
        }
        self.vars.clear();
        let body = self.body(3);
        let value = if self.dice.chance(3) { self.decided() } else { self.expr(2) };
        if self.dice.chance(3) {
            let _ = writeln!(text, "\ndefault decision := {}", self.dice.pick(SCALARS));
        }
        let last = self.rules.last().cloned().unwrap_or_else(|| "1".to_owned());
        match self.dice.roll(4) {
            0 => text.push_str(&format!("\ndecision := {last}\n")),
            1 => text.push_str(&format!("\ndecision if not {last}\n")),
            _ => text.push_str(&format!("\ndecision := {value} if {{\n{body}}}\n")),
        }
        text
    }

    fn rule(&mut self, i: usize) -> String {
        self.vars.clear();
        let name = format!("r{i}");
        let text = match self.dice.roll(11) {
            0 => {
                let body = self.body(3);
                let item = self.expr(2);
                format!("{name} contains {item} if {{\n{body}}}")
            }
            1 => {
                let body = self.body(2);
                let (key, item) = (self.expr(1), self.expr(1));
                format!("{name}[{key}] := {item} if {{\n{body}}}")
            }
            2 => {
                let scalar = self.dice.pick(SCALARS);
                let body = self.body(2);
                let item = self.expr(1);
                format!("default {name} := {scalar}\n\n{name} := {item} if {{\n{body}}}")
            }
            3 => {
                let (first, one) = (self.body(2), self.expr(1));
                self.vars.clear();
                let (second, two) = (self.body(1), self.expr(1));
                format!("{name} := {one} if {{\n{first}}} else := {two} if {{\n{second}}} else := 7")
            }
            4 => {
                let (first, one) = (self.body(1), self.dice.pick(SCALARS));
                self.vars.clear();
                let (second, two) = (self.body(1), self.dice.pick(SCALARS));
                format!("{name} := {one} if {{\n{first}}}\n\n{name} := {two} if {{\n{second}}}")
            }
            5 | 6 => {
                let function = format!("f{i}");
                self.vars = vec!["p".to_owned(), "q".to_owned()];
                let (body, item) = (self.body(2), self.expr(2));
                let mut text = format!("{function}(p, q) := {item} if {{\n{body}}}");
                if self.dice.chance(3) {
                    let _ = write!(text, "\n\ndefault {function}(_, _) := {}", self.dice.pick(SCALARS));
                }
                if self.dice.chance(3) {
                    self.vars = vec!["p".to_owned(), "q".to_owned()];
                    let (body, item) = (self.body(1), self.dice.pick(SCALARS));
                    let _ = write!(text, "\n\n{function}(p, q) := {item} if {{\n{body}}}");
                }
                self.functions.push(function);
                return text;
            }
            7 => {
                let body = self.statement(1);
                if body.contains("; ") {
                    format!("{name} if {{ {body} }}")
                } else {
                    format!("{name} if {body}")
                }
            }
            8 => {
                let body = self.inner();
                let (key, item) = (self.expr(0), self.expr(1));
                format!("{name} := {{{key}: {item} | {body}}}")
            }
            _ => {
                let body = self.body(3);
                let item = if self.dice.chance(3) { self.decided() } else { self.expr(2) };
                if self.dice.chance(1) {
                    self.vars.clear();
                    let item = self.decided();
                    self.rules.push(name.clone());
                    return format!("{name} := {item}");
                }
                format!("{name} := {item} if {{\n{body}}}")
            }
        };
        self.rules.push(name);
        text
    }

    fn body(&mut self, most: usize) -> String {
        let mut text = String::new();
        for _ in 0..self.dice.roll(most).saturating_add(1) {
            let statement = self.statement(2);
            let _ = writeln!(text, "\t{statement}");
        }
        text
    }

    fn fresh(&mut self) -> String {
        self.next = self.next.saturating_add(1);
        format!("v{}", self.next)
    }

    fn statement(&mut self, depth: usize) -> String {
        match self.dice.roll(13) {
            12 => self.named_result(depth),
            0 => {
                let (collection, var) = (self.collection(depth), self.fresh());
                self.vars.push(var.clone());
                format!("some {var} in {collection}; {var} != \"zz\"")
            }
            1 => {
                let (collection, key, var) = (self.collection(depth), self.fresh(), self.fresh());
                self.vars.extend([key.clone(), var.clone()]);
                format!("some {key}, {var} in {collection}; [{key}, {var}] != []")
            }
            2 | 3 => {
                let (value, var) = (self.expr(depth), self.fresh());
                self.vars.push(var.clone());
                format!("{var} := {value}")
            }
            4 => format!("not {}", self.condition(depth)),
            5 => format!("not {}", self.reference()),
            6 if depth > 0 => {
                let (collection, var) = (self.collection(depth), self.fresh());
                let outer = self.vars.clone();
                self.vars.push(var.clone());
                let condition = self.condition(1);
                self.vars = outer;
                format!("every {var} in {collection} {{ {var} != \"zz\"; {condition} }}")
            }
            7 => self.reference(),
            8 => {
                let (field, scalar) = (self.dice.pick(FIELDS), self.dice.pick(SCALARS));
                format!("input.{field}[_] == {scalar}")
            }
            9 if self.dice.chance(3) => {
                let (condition, field, scalar) =
                    (self.condition(1), self.dice.pick(FIELDS), self.dice.pick(SCALARS));
                format!("{condition} with input.{field} as {scalar}")
            }
            _ => self.condition(depth),
        }
    }

    /// A call whose result is its last argument.
    fn named_result(&mut self, depth: usize) -> String {
        let (object, field) = (self.object(depth), self.dice.pick(FIELDS));
        let var = self.fresh();
        let result = if self.dice.chance(5) { self.object(0) } else { var.clone() };
        let (call, is_new) = match self.dice.roll(5) {
            0 => (format!("object.union({object}, {}, {result})", self.object(0)), result == var),
            1 => (format!("object.get({object}, \"{field}\", {}, {result})", self.expr(0)), result == var),
            2 => (format!("json.marshal({object}, {var})"), true),
            3 => (format!("object.keys({object}, {var})"), true),
            _ => (format!("count({object}, {})", self.dice.roll(3)), false),
        };
        if is_new {
            self.vars.push(var);
        }
        call
    }

    fn object(&mut self, depth: usize) -> String {
        let below = depth.saturating_sub(1);
        match self.dice.roll(3) {
            0 => "{}".to_owned(),
            1 => format!("{{\"{}\": {}}}", self.dice.pick(FIELDS), self.expr(below)),
            _ => format!("{{\"a\": {}, \"b\": {}}}", self.expr(below), self.expr(below)),
        }
    }

    /// Object literals and comprehensions side by side, as the head of a rule may have them.
    fn decided(&mut self) -> String {
        let object = self.object(1);
        let outer = self.vars.clone();
        let (body, item, key) = (self.inner(), self.expr(1), self.dice.pick(SCALARS));
        self.vars = outer;
        let gathered = match self.dice.roll(3) {
            0 => format!("[{item} | {body}]"),
            1 => format!("{{{item} | {body}}}"),
            _ => format!("{{{key}: {item} | {body}}}"),
        };
        match self.dice.roll(5) {
            0 => format!("{{\"a\": {object}, \"b\": {gathered}}}"),
            1 => format!("{{\"b\": {gathered}, \"a\": {object}}}"),
            2 => format!("[{object}, {gathered}]"),
            3 => format!("{{\"a\": {object}, \"b\": count({gathered})}}"),
            // Sets and objects in one set: their order is not OPA's, as the manual says.
            _ => format!("[{gathered}, {object}]"),
        }
    }

    fn condition(&mut self, depth: usize) -> String {
        match self.dice.roll(7) {
            0 => format!("{} in {}", self.expr(1), self.collection(depth)),
            1 => format!("startswith({}, {})", self.text(1), self.text(1)),
            2 if !self.functions.is_empty() => self.call(),
            3 => format!("count({}) > {}", self.collection(depth), self.dice.roll(3)),
            _ => {
                let operator = self.dice.pick(&["==", "!=", "<", "<=", ">", ">=", "="]);
                format!("{} {operator} {}", self.reference(), self.expr(depth))
            }
        }
    }

    /// What may be anything, or undefined.
    fn reference(&mut self) -> String {
        match self.dice.roll(10) {
            0 | 1 if !self.vars.is_empty() => self.var(),
            2 if !self.rules.is_empty() => {
                let at = self.dice.roll(self.rules.len());
                self.rules.get(at).cloned().unwrap_or_default()
            }
            3 => format!("data.map.{}", self.dice.pick(FIELDS)),
            4 => format!("data.roles[input.{}]", self.dice.pick(FIELDS)),
            5 => format!("input.{}.{}", self.dice.pick(FIELDS), self.dice.pick(FIELDS)),
            6 => format!("input[\"{}\"][{}]", self.dice.pick(FIELDS), self.dice.roll(3)),
            7 if !self.vars.is_empty() => format!("input.{}[{}]", self.dice.pick(FIELDS), self.var()),
            8 if !self.vars.is_empty() => format!("{}.{}", self.var(), self.dice.pick(FIELDS)),
            _ => format!("input.{}", self.dice.pick(FIELDS)),
        }
    }

    fn var(&mut self) -> String {
        let at = self.dice.roll(self.vars.len());
        self.vars.get(at).cloned().unwrap_or_else(|| "1".to_owned())
    }

    fn call(&mut self) -> String {
        let at = self.dice.roll(self.functions.len());
        let function = self.functions.get(at).cloned().unwrap_or_default();
        format!("{function}({}, {})", self.expr(1), self.expr(1))
    }

    fn expr(&mut self, depth: usize) -> String {
        if depth == 0 {
            return if self.dice.chance(5) { self.dice.pick(SCALARS).to_owned() } else { self.reference() };
        }
        let below = depth.saturating_sub(1);
        match self.dice.roll(9) {
            0 => self.collection(depth),
            1 => {
                let operator = self.dice.pick(&["+", "-", "*", "/", "%"]);
                format!("({} {operator} {})", self.number(below), self.number(below))
            }
            2 => self.text(depth),
            3 if !self.functions.is_empty() => self.call(),
            4 => {
                let key = self.dice.pick(FIELDS);
                format!("object.get({}, \"{key}\", {})", self.reference(), self.expr(below))
            }
            5 => format!(
                "{}({})",
                self.dice.pick(&["count", "sum", "max", "min", "sort", "type_name"]),
                self.reference()
            ),
            _ => self.expr(0),
        }
    }

    fn number(&mut self, depth: usize) -> String {
        match self.dice.roll(5) {
            0 => self.dice.roll(5).to_string(),
            1 if depth > 0 => format!("count({})", self.collection(depth.saturating_sub(1))),
            2 => format!("to_number({})", self.reference()),
            3 => format!("abs({})", self.reference()),
            _ => self.reference(),
        }
    }

    fn text(&mut self, depth: usize) -> String {
        match self.dice.roll(10) {
            8 => format!("$\"<{{{}}}>\"", self.expr(depth.saturating_sub(1))),
            9 => format!("$`{{{}}} \\{{ {{{}}}`", self.reference(), self.expr(depth.saturating_sub(1))),
            0 if depth > 0 => format!("concat(\"/\", {})", self.collection(depth.saturating_sub(1))),
            1 => format!("{}({})", self.dice.pick(&["upper", "lower", "trim_space"]), self.reference()),
            2 => format!("sprintf(\"%v-%v\", [{}, {}])", self.reference(), self.reference()),
            3 => format!("replace({}, \"a\", \"b\")", self.reference()),
            4 => format!("substring({}, {}, {})", self.reference(), self.dice.roll(3), self.dice.roll(3)),
            5 => "\"a\"".to_owned(),
            6 => format!("json.marshal({})", self.reference()),
            _ => self.reference(),
        }
    }

    fn collection(&mut self, depth: usize) -> String {
        if depth == 0 {
            return match self.dice.roll(4) {
                0 => "[1, \"a\", 2]".to_owned(),
                1 => "{\"a\", 1}".to_owned(),
                2 => "data.list".to_owned(),
                _ => self.reference(),
            };
        }
        let below = depth.saturating_sub(1);
        match self.dice.roll(11) {
            0 => format!("[{}, {}]", self.expr(below), self.expr(below)),
            1 => format!("{{{}, {}}}", self.expr(below), self.expr(below)),
            2 => format!("{{\"a\": {}, \"b\": {}}}", self.expr(below), self.expr(below)),
            3 | 4 => {
                let outer = self.vars.clone();
                let body = self.inner();
                let item = self.expr(below);
                self.vars = outer;
                let (open, close) = if self.dice.chance(5) { ("[", "]") } else { ("{", "}") };
                format!("{open}{item} | {body}{close}")
            }
            5 => {
                let outer = self.vars.clone();
                let (collection, key, var) = (self.collection(0), self.fresh(), self.fresh());
                self.vars.extend([key.clone(), var]);
                let (body, item) = (self.inner(), self.dice.pick(SCALARS));
                let var = self.vars.get(outer.len().saturating_add(1)).cloned().unwrap_or_default();
                self.vars = outer;
                format!("{{{key}: {item} | some {key}, {var} in {collection}; {var} != \"zz\"; {body}}}")
            }
            6 => format!("split({}, \"/\")", self.text(below)),
            7 => {
                let operator = self.dice.pick(&["|", "&", "-"]);
                let set = "{\"a\", \"b\", 1}";
                format!("({{{}}} {operator} {set})", self.expr(below))
            }
            8 => format!("array.slice({}, {}, {})", self.reference(), self.dice.roll(3), self.dice.roll(4)),
            9 => format!("object.keys({})", self.reference()),
            _ => self.collection(0),
        }
    }

    fn inner(&mut self) -> String {
        let mut statements = Vec::new();
        for _ in 0..self.dice.roll(2).saturating_add(1) {
            statements.push(self.statement(0));
        }
        statements.join("; ")
    }
}
