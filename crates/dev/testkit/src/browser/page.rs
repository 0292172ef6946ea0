//! A window of a device: going somewhere, clicking, filling, reading what it shows.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::wire::Wire;
use super::{PATIENCE, fail, within};

/// A window.
pub struct Page {
    wire: Arc<Wire>,
    session: String,
    context: String,
    size: (u32, u32),
}

/// A text as JavaScript reads it.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

impl Page {
    pub(super) fn new(wire: Arc<Wire>, session: String, context: String, size: (u32, u32)) -> Self {
        Self {
            wire,
            session,
            context,
            size,
        }
    }

    async fn call(&self, method: &str, params: Value) -> Value {
        self.wire.call(Some(&self.session), method, params).await
    }

    pub(super) async fn begin(&self) {
        let (width, height) = self.size;
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        let ahead = self.wire.clock(&self.context);
        if ahead != 0 {
            let source = format!(
                "{{ const Right = Date; const by = {ahead}; \
                 Date = class extends Right {{ \
                   constructor(...given) {{ given.length ? super(...given) : super(Right.now() + by); }} \
                   static now() {{ return Right.now() + by; }} }}; }}"
            );
            self.call(
                "Page.addScriptToEvaluateOnNewDocument",
                json!({ "source": source }),
            )
            .await;
        }
    }

    /// Goes to an address and waits until it has loaded.
    ///
    /// # Panics
    /// Where nothing answers, or the page does not load.
    pub async fn go(&self, address: &str) {
        let went = self.call("Page.navigate", json!({ "url": address })).await;
        let error = went.get("errorText").and_then(Value::as_str);
        assert!(error.is_none(), "{address} was not reached: {error:?}");
        self.loaded().await;
    }

    /// Loads the page again and waits until it has.
    ///
    /// # Panics
    /// Where it does not load.
    pub async fn reload(&self) {
        self.mark().await;
        self.call("Page.reload", json!({})).await;
        self.left("the page to load again").await;
    }

    async fn mark(&self) {
        self.run("window.theriacTestWasHere = true").await;
    }

    async fn left(&self, what: &str) {
        self.wait_until(
            what,
            "!window.theriacTestWasHere && document.readyState === 'complete'",
        )
        .await;
    }

    async fn loaded(&self) {
        let ready = "location.href !== 'about:blank' && document.readyState === 'complete'";
        self.wait_until("the page to load", ready).await;
    }

    /// What an expression is; a promise is waited for.
    ///
    /// # Errors
    /// What it threw, or that the page went away meanwhile.
    pub async fn try_run(&self, expression: &str) -> Result<Value, String> {
        let asked =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let told = self
            .wire
            .try_call(Some(&self.session), "Runtime.evaluate", asked)
            .await?;
        match told.get("exceptionDetails") {
            Some(thrown) => Err(thrown.to_string()),
            None => Ok(told.pointer("/result/value").cloned().unwrap_or_default()),
        }
    }

    /// The same.
    ///
    /// # Panics
    /// With what it threw.
    pub async fn run(&self, expression: &str) -> Value {
        let told = self.try_run(expression).await;
        assert!(told.is_ok(), "{expression}: {told:?}");
        told.unwrap_or_default()
    }

    /// Waits until an expression is true.
    ///
    /// # Panics
    /// Where it never is, with what the page shows.
    pub async fn wait_until(&self, what: &str, expression: &str) {
        let asked = format!("Boolean({expression})");
        let looking = async {
            // While a page gives way to another there is nothing to ask.
            while self.try_run(&asked).await != Ok(Value::Bool(true)) {
                tokio::time::sleep(super::LOOK).await;
            }
        };
        if tokio::time::timeout(PATIENCE, looking).await.is_err() {
            let shown = self
                .try_run("location.href + '\\n' + (document.body && document.body.innerText)")
                .await;
            let errors = self.errors();
            fail(&format!(
                "waited in vain for {what}; errors {errors:?}; the page shows {shown:?}"
            ));
        }
    }

    /// Waits until the page shows a text.
    ///
    /// # Panics
    /// Where it never does.
    pub async fn wait_for_text(&self, text: &str) {
        let shown = format!(
            "document.body && document.body.innerText.includes({})",
            quoted(text)
        );
        self.wait_until(&format!("the text {text:?}"), &shown).await;
    }

    /// Waits until there is an element.
    ///
    /// # Panics
    /// Where there never is.
    pub async fn wait_for(&self, selector: &str) {
        let found = format!("document.querySelector({})", quoted(selector));
        self.wait_until(&format!("an element {selector}"), &found)
            .await;
    }

    /// Whether there is an element.
    pub async fn has(&self, selector: &str) -> bool {
        let found = format!("!!document.querySelector({})", quoted(selector));
        self.run(&found).await == Value::Bool(true)
    }

    /// What an element shows.
    ///
    /// # Panics
    /// Where there is none.
    pub async fn text(&self, selector: &str) -> String {
        self.wait_for(selector).await;
        let own = format!("document.querySelector({}).innerText", quoted(selector));
        let told = self.run(&own).await;
        told.as_str().unwrap_or_default().to_owned()
    }

    /// The address of the page.
    pub async fn address(&self) -> String {
        let told = self.run("location.href").await;
        told.as_str().unwrap_or_default().to_owned()
    }

    /// Clicks an element in its middle, as a mouse does: what lies over it is hit instead.
    ///
    /// # Panics
    /// Where there is none, or something else lies over it.
    pub async fn click(&self, selector: &str) {
        let own = quoted(selector);
        let place = format!(
            "(() => {{ const own = document.querySelector({own}); if (!own) return null; \
             own.scrollIntoView({{ block: 'center', behavior: 'instant' }}); \
             const box = own.getBoundingClientRect(); if (!box.width || !box.height) return null; \
             const x = box.x + box.width / 2, y = box.y + box.height / 2; \
             const top = document.elementFromPoint(x, y); \
             if (!top || !(own.contains(top) || top.contains(own) || (own.labels && [...own.labels].some((l) => l.contains(top))))) return null; \
             return [x, y]; }})()"
        );
        let what = format!("{selector} to stand still where it can be clicked");
        let mut before = None;
        // A page that still scrolls, or grows, would move it away from under the mouse.
        let at = within(&what, async || {
            let at = self.try_run(&place).await.ok()?;
            let place = |nth: usize| at.get(nth).and_then(Value::as_f64);
            let now = Some((place(0)?, place(1)?));
            let still = now == before;
            before = now;
            now.filter(|_| still)
        });
        let (x, y) = at.await;
        for kind in ["mousePressed", "mouseReleased"] {
            let press = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", press).await;
        }
    }

    /// Clicks what leads to another page, and waits until that has loaded.
    ///
    /// # Panics
    /// Where it leads nowhere.
    pub async fn follow(&self, selector: &str) {
        self.wait_for(selector).await;
        self.mark().await;
        self.click(selector).await;
        self.left(&format!("{selector} to lead to another page"))
            .await;
    }

    /// Puts a text into a field in place of what it holds, as typing does; chooses an option of a list.
    ///
    /// # Panics
    /// Where there is no such field.
    pub async fn fill(&self, selector: &str, text: &str) {
        self.wait_for(selector).await;
        let filled = format!(
            "(() => {{ const own = document.querySelector({}); own.focus(); own.value = {}; \
             for (const kind of ['input', 'change']) own.dispatchEvent(new Event(kind, {{ bubbles: true }})); \
             return own.value; }})()",
            quoted(selector),
            quoted(text)
        );
        let now = self.run(&filled).await;
        assert_eq!(now, Value::from(text), "{selector} does not take {text:?}");
    }

    /// Types a text with the keyboard where the focus is, as a hand-held scanner does.
    ///
    /// # Panics
    /// Where the browser refuses.
    pub async fn type_text(&self, text: &str) {
        self.call("Input.insertText", json!({ "text": text })).await;
    }

    /// Presses a key where the focus is: `Enter`, `Tab`, `Escape`.
    ///
    /// # Panics
    /// Where the browser refuses.
    pub async fn press(&self, key: &str) {
        let code = match key {
            "Enter" => 13,
            "Tab" => 9,
            "Escape" => 27,
            _ => 0,
        };
        let mut down = json!({
            "type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code,
        });
        if let (true, Some(members)) = (key == "Enter", down.as_object_mut()) {
            members.insert("text".to_owned(), "\r".into());
        }
        self.call("Input.dispatchKeyEvent", down).await;
        let up = json!({ "type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": code });
        self.call("Input.dispatchKeyEvent", up).await;
    }

    /// Writes what is seen as PNG; with `whole` all of the page.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub async fn screenshot(&self, into: &Path, whole: bool) {
        let asked = json!({ "format": "png", "captureBeyondViewport": whole });
        let told = self.call("Page.captureScreenshot", asked).await;
        let data = super::text(&told, "/data");
        let bytes = data_encoding::BASE64.decode(data.as_bytes());
        let written = bytes.map(|bytes| std::fs::write(into, bytes));
        assert!(
            matches!(written, Ok(Ok(()))),
            "{} was not written",
            into.display()
        );
    }

    /// What this device's pages wrote to the console as errors.
    pub fn errors(&self) -> Vec<String> {
        self.wire.errors(&self.context)
    }

    /// Fails if anything was written to the console as an error.
    ///
    /// # Panics
    /// With what was written.
    pub fn clean(&self) {
        let errors = self.errors();
        assert!(errors.is_empty(), "the console says: {errors:#?}");
    }
}
