//! Tasks for long contexts, made by a seed: the same arguments give the same texts.

use crate::random::Mix;
use serde_json::json;

/// Text that says nothing, a sentence at a time.
const FILLER: [&str; 12] = [
    "The grass is green.",
    "The sky is blue.",
    "The sun is yellow.",
    "Here we go.",
    "There and back again.",
    "The river runs to the sea.",
    "A bird sits in the old tree.",
    "The road goes on and on.",
    "Rain falls on the roof of the house.",
    "The wind moves the leaves.",
    "Snow lies on the hills in winter.",
    "The children walk home from school.",
];
const BEGINNING: &str = "There is important information hidden in a lot of irrelevant text. Find it and memorise it.";
const QUESTION: &str = "What is the pass key? The pass key is";

/// What is asked of a set of tasks.
#[derive(Clone, Debug)]
pub struct Passkeys {
    /// Words of a prompt, about.
    pub length: usize,
    /// Where the number stands, from 0, the beginning, to 1, the end.
    pub depths: Vec<f64>,
    /// Tasks for each depth.
    pub count: usize,
    /// The seed.
    pub seed: u64,
}

impl Passkeys {
    /// One JSON object on each line: a prompt in which a number of five digits stands between sentences that say nothing, and which
    /// ends with the question for it (Mohtashami and Jaggi 2023, arXiv:2305.16300, section 4.3); and the number as `answer`.
    pub fn lines(&self) -> String {
        let mut mix = Mix::new(self.seed);
        let mut lines = String::new();
        for depth in &self.depths {
            for _ in 0..self.count {
                let (prompt, answer) = self.passkey(&mut mix, *depth);
                let task = json!({
                    "task": "passkey", "length": self.length, "depth": depth, "prompt": prompt, "answer": answer,
                });
                lines.push_str(&format!("{task}\n"));
            }
        }
        lines
    }

    fn passkey(&self, mix: &mut Mix, depth: f64) -> (String, String) {
        let answer = (10_000 + mix.below(90_000)).to_string();
        let key = format!("The pass key is {answer}. Remember it. {answer} is the pass key.");
        let words = |text: &str| text.split_whitespace().count();
        let fixed = words(BEGINNING) + words(&key) + words(QUESTION);
        let filler = self.length.saturating_sub(fixed);
        let before = (depth * filler as f64).round() as usize;
        let mut sentences = vec![BEGINNING];
        let mut written = 0;
        let mut fill = |sentences: &mut Vec<&'static str>, until: usize| {
            while written < until {
                let next = FILLER[mix.below(FILLER.len())];
                written += words(next);
                sentences.push(next);
            }
        };
        fill(&mut sentences, before);
        let mut behind = Vec::new();
        fill(&mut behind, filler);
        let text = [sentences.join(" "), key, behind.join(" "), QUESTION.to_owned()];
        let parts: Vec<&str> = text
            .iter()
            .map(String::as_str)
            .filter(|part| !part.is_empty())
            .collect();
        (parts.join(" "), answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn tasks(length: usize, depths: &[f64], count: usize, seed: u64) -> Vec<Value> {
        let wanted = Passkeys {
            length,
            depths: depths.to_vec(),
            count,
            seed,
        };
        let lines = wanted.lines();
        lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    #[test]
    fn the_number_stands_at_its_depth_in_a_prompt_of_that_length() {
        for task in tasks(400, &[0.0, 0.3, 1.0], 3, 7) {
            let (prompt, answer) = (
                task["prompt"].as_str().expect("a text"),
                task["answer"].as_str().expect("a text"),
            );
            assert_eq!((answer.len(), prompt.matches(answer).count()), (5, 2), "{prompt}");
            let words = prompt.split_whitespace().count();
            assert!((400..410).contains(&words), "{words} words");
            let before = prompt[..prompt.find(answer).expect("the key")]
                .split_whitespace()
                .count();
            let at = (before as f64 - 20.0) / 360.0;
            assert!((at - task["depth"].as_f64().expect("a number")).abs() < 0.05, "{at}");
            assert!(prompt.ends_with("The pass key is"));
        }
    }

    #[test]
    fn a_seed_gives_the_same_tasks_and_another_seed_others() {
        assert_eq!(tasks(100, &[0.5], 4, 1), tasks(100, &[0.5], 4, 1));
        assert_ne!(
            tasks(100, &[0.5], 1, 1)[0]["prompt"],
            tasks(100, &[0.5], 1, 2)[0]["prompt"]
        );
        // What does not fit into the length stands there all the same.
        assert!(
            tasks(1, &[0.5], 1, 1)[0]["prompt"]
                .as_str()
                .expect("a text")
                .contains("pass key is")
        );
    }
}
