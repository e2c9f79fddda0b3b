//! The rows of the board on a terminal. The only code that knows indicatif.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::board::{Board, Row};
use crate::base::Secrets;
use crate::event::Event;

/// How often the rows are looked at.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// Redraws a second, at most.
const REDRAWS: u8 = 30;

/// Draws what goes on below the lines.
pub(super) struct Live {
    board: Board,
    multi: MultiProgress,
    bars: Vec<(String, bool, ProgressBar)>,
    width: usize,
    target: Target,
    hidden: bool,
}

/// Makes what is drawn on.
type Target = Box<dyn Fn() -> ProgressDrawTarget + Send>;

impl Live {
    pub(super) fn new(secrets: Secrets, width: usize) -> Self {
        Self::on(secrets, width, Box::new(|| ProgressDrawTarget::stdout_with_hz(REDRAWS)))
    }

    fn on(secrets: Secrets, width: usize, target: Target) -> Self {
        let multi = MultiProgress::with_draw_target(target());
        Self { board: Board::new(secrets), multi, bars: Vec::new(), width, target, hidden: false }
    }

    pub(super) fn update(&mut self, event: &Event) {
        self.board.update(event);
        self.draw(false);
    }

    pub(super) fn tick(&mut self) {
        self.board.tick(TICK);
        self.draw(true);
    }

    pub(super) fn clear(&mut self) {
        self.board.clear();
        self.draw(false);
    }

    /// Prints while no row stands in the way.
    pub(super) fn above(&self, print: impl FnOnce()) {
        if self.bars.is_empty() { print() } else { self.multi.suspend(print) }
    }

    /// Takes the rows off the screen until [`Self::show`].
    pub(super) fn hide(&mut self) {
        for (_, _, bar) in self.bars.drain(..) {
            bar.finish_and_clear();
            self.multi.remove(&bar);
        }
        let _ = self.multi.clear();
        self.multi.set_draw_target(ProgressDrawTarget::hidden());
        self.hidden = true;
    }

    pub(super) fn show(&mut self) {
        self.multi.set_draw_target((self.target)());
        self.hidden = false;
        self.draw(false);
    }

    fn draw(&mut self, turn: bool) {
        if self.hidden {
            return;
        }
        let rows = self.board.rows(self.width);
        let multi = &self.multi;
        self.bars.retain(|(key, counted, bar)| {
            let stays = rows.iter().any(|row| row.key == *key && row.counts.is_some() == *counted);
            if !stays {
                bar.finish_and_clear();
                multi.remove(bar);
            }
            stays
        });
        for row in rows {
            let at = self.bars.iter().position(|(key, ..)| *key == row.key);
            let bar = match at.and_then(|at| self.bars.get(at)) {
                Some((_, _, bar)) => bar.clone(),
                None => {
                    let bar = multi.add(ProgressBar::new(0).with_style(style(&row)));
                    self.bars.push((row.key.clone(), row.counts.is_some(), bar.clone()));
                    bar
                }
            };
            if let Some((done, of)) = row.counts {
                bar.set_length(of as u64);
                bar.set_position(done as u64);
            }
            if bar.message() != row.text {
                bar.set_message(row.text);
            }
            if turn {
                bar.tick();
            }
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.hide();
    }
}

fn style(row: &Row) -> ProgressStyle {
    let template = match row.counts {
        Some(_) => format!("{}{{spinner}} {{bar:12}} {{pos}}/{{len}} {{msg}}", row.prefix),
        None => format!("{}{{spinner}} {{msg}}", row.prefix),
    };
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;
    use crate::event::{VERSION, What};

    /// Keeps what is drawn; a cleared line empties it.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl Screen {
        fn put(&self, text: &str) {
            self.0.lock().unwrap().push_str(text);
        }

        fn text(&self) -> String {
            self.0.lock().unwrap().clone()
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> std::io::Result<()> {
            self.put(text);
            Ok(())
        }

        fn write_str(&self, text: &str) -> std::io::Result<()> {
            self.put(text);
            Ok(())
        }

        fn clear_line(&self) -> std::io::Result<()> {
            self.0.lock().unwrap().clear();
            Ok(())
        }

        fn flush(&self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn event(what: What) -> Event {
        let at = "2026-11-21T00:00:00Z".parse().unwrap();
        Event { v: VERSION, at, run: None, simulated: true, event: what }
    }

    fn live(screen: &Screen) -> Live {
        let screen = screen.clone();
        let target = move || ProgressDrawTarget::term_like_with_hz(Box::new(screen.clone()), 255);
        Live::on(Secrets::default(), 80, Box::new(target))
    }

    fn started() -> Event {
        let [wave, step, kind, summary] = ["w", "core", "terraform_apply", "13 to add"].map(str::to_owned);
        event(What::StepStarted { wave, step, kind, summary })
    }

    #[test]
    fn a_row_appears_late_moves_and_goes() {
        let screen = Screen::default();
        let mut live = live(&screen);
        live.update(&started());
        live.tick();
        live.tick();
        assert_eq!(screen.text(), "", "nothing within 250 ms");
        live.tick();
        assert!(screen.text().contains("core (0s): 13 to add"), "{}", screen.text());
        assert!(screen.text().contains("[simulated] "), "{}", screen.text());
        let (step, item) = ("core".to_owned(), Some("module.core.a".to_owned()));
        let text = "done".to_owned();
        live.update(&event(What::StepProgress { step, item, text, done: Some(2), of: Some(13) }));
        assert!(screen.text().contains("2/13 core (0s): module.core.a: done"), "{}", screen.text());
        let (step, summary) = ("core".to_owned(), String::new());
        live.update(&event(What::StepDone { step, summary, seconds: 1.0 }));
        assert!(!screen.text().contains("core"), "{}", screen.text());
    }

    #[test]
    fn nothing_is_drawn_while_a_prompt_has_the_screen() {
        let screen = Screen::default();
        let mut live = live(&screen);
        live.update(&started());
        (0..4).for_each(|_| live.tick());
        assert!(screen.text().contains("core"));
        live.hide();
        assert!(!screen.text().contains("core"));
        (0..4).for_each(|_| live.tick());
        assert!(!screen.text().contains("core"));
        live.show();
        live.tick();
        assert!(screen.text().contains("core"));
    }
}
