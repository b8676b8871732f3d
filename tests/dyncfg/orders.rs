//! Commands to a job in every order, against what each must come to.

use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Enable,
    Disable,
    Restart,
    Good,
    Bad,
}

use Step::*;

const STEPS: [Step; 5] = [Enable, Disable, Restart, Good, Bad];

/// Codes and statuses that must come, by the rules of the reference.
#[derive(Debug, Clone, Copy)]
struct Model {
    good: bool,
    disabled: bool,
}

impl Model {
    fn status(self) -> &'static str {
        match (self.disabled, self.good) {
            (true, _) => "disabled",
            (false, true) => "running",
            (false, false) => "failed",
        }
    }

    fn step(&mut self, step: Step) -> &'static str {
        match step {
            Disable => {
                self.disabled = true;
                return "200";
            }
            Enable => self.disabled = false,
            Restart if self.disabled => return "405",
            Restart if !self.good => return "422",
            Restart => {}
            Good => self.good = true,
            Bad => self.good = false,
        }
        match self.status() {
            "disabled" => "298",
            "running" => "200",
            _ => "202",
        }
    }
}

fn orders() -> Vec<Vec<Step>> {
    let mut orders: Vec<Vec<Step>> = vec![Vec::new()];
    for _ in 0..3 {
        let longer = |order: &Vec<Step>| {
            let order = order.clone();
            STEPS.map(|step| [order.as_slice(), &[step]].concat())
        };
        orders = orders.iter().flat_map(longer).collect();
    }
    orders
}

/// All at once, each with a job of its own.
#[test]
fn in_every_order_each_command_has_its_answer_and_the_job_its_status() {
    let server = Server::start(Kind::Redis70);
    let address = server.unix_address();
    let mut hand = Hand::start(NO_JOBS);
    let mut courses: Vec<(String, Vec<Step>, Model)> = orders()
        .into_iter()
        .enumerate()
        .map(|(number, order)| {
            let model = Model {
                good: true,
                disabled: false,
            };
            (format!("job-{number}"), order, model)
        })
        .collect();
    assert_eq!(courses.len(), 125);
    for (name, ..) in &courses {
        hand.add(name, &address);
    }
    for (name, ..) in &courses {
        hand.expect_status(name, "running");
    }
    for step in 0..3 {
        let mut calls = Vec::new();
        for (name, order, model) in &mut courses {
            let job = format!("{TEMPLATE}:{name}");
            let (about, payload) = match order[step] {
                Enable => (format!("{job} enable"), None),
                Disable => (format!("{job} disable"), None),
                Restart => (format!("{job} restart"), None),
                Good => (format!("{job} update"), Some(form(&address))),
                Bad => (format!("{job} update"), Some(form(NOWHERE))),
            };
            let id = hand.put(&about, payload.as_deref(), "user=me");
            calls.push((id, model.step(order[step])));
        }
        for ((id, code), (name, order, _)) in calls.iter().zip(&courses) {
            let seen = answer(&hand.run, id);
            assert_eq!(seen.code, *code, "{name} {order:?} {step}: {}", seen.body);
        }
        for (name, order, model) in &courses {
            let status = model.status();
            hand.expect(name, &format!("{status} in {order:?}"), |c| {
                c.status == status
            });
        }
    }
    for (name, order, model) in &courses {
        let get = hand.job(name, "get");
        let led = if model.good { &address } else { NOWHERE };
        assert!(get.body.contains(led), "{order:?}: {}", get.body);
        let watched = hand.watched(name);
        assert_eq!(watched, !model.disabled, "{name} {order:?}");
        assert_eq!(hand.job(name, "remove").code, "200");
    }
    hand.run.with_checker(|checker| {
        assert_eq!(checker.configs(), [TEMPLATE]);
        checker.assert_clean();
    });
}
