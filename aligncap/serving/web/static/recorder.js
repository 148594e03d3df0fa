// The microphone: starts, stops, and draws the level while it listens.

const FAILURES = {
  NotAllowedError: "The microphone was not allowed. Allow it in the browser's settings for this page, or choose a file.",
  NotFoundError: "No microphone was found. Connect one, or choose a file.",
  NotReadableError: "The microphone is in use by another program. Close that, or choose a file.",
};

export function recorder(canvas, { started, progress, stopped, refused }) {
  let media = null;
  let starting = false; // the browser asks for the microphone

  function draw(analyser, begun) {
    const context = canvas.getContext("2d");
    const values = new Float32Array(analyser.fftSize);
    const levels = [];
    const colour = getComputedStyle(document.documentElement).getPropertyValue("--danger");
    const timer = setInterval(() => {
      if (media?.state !== "recording") { clearInterval(timer); return; }
      analyser.getFloatTimeDomainData(values);
      levels.push(values.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
      context.clearRect(0, 0, canvas.width, canvas.height);
      context.fillStyle = colour;
      levels.slice(-160).forEach((level, i) => {
        const height = Math.max(2, Math.min(1, level) * canvas.height);
        context.fillRect(i * 4, (canvas.height - height) / 2, 2.5, height);
      });
      progress((performance.now() - begun) / 1000);
    }, 50);
  }

  async function start() {
    if (starting) return;
    starting = true;
    let stream;
    try {
      if (!navigator.mediaDevices) throw new DOMException("", "NotSecure");
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch (error) {
      refused(FAILURES[error.name] ?? "This browser records on https and localhost only. Choose a file instead.");
      return;
    } finally {
      starting = false;
    }
    const chunks = [];
    const sound = new AudioContext();
    const analyser = sound.createAnalyser();
    sound.createMediaStreamSource(stream).connect(analyser);
    media = new MediaRecorder(stream);
    media.addEventListener("dataavailable", (event) => chunks.push(event.data));
    media.addEventListener("stop", () => {
      const blob = new Blob(chunks, { type: media.mimeType });
      media = null;
      canvas.hidden = true;
      stream.getTracks().forEach((track) => track.stop());
      sound.close();
      stopped(blob.size ? blob : null);
    });
    canvas.hidden = false;
    media.start();
    started();
    draw(analyser, performance.now());
  }

  function stop() { if (media?.state === "recording") media.stop(); }

  return { stop, toggle: () => (media ? stop() : start()) };
}
