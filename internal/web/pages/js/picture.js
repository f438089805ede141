// Pictures: the newest keyframe of a stream, which the browser decodes.
import { send } from "./api.js";

const widest = 640; // pixels of a picture on the wall
const patience = 15000; // ms for a browser to decode one

/**
 * Draws the newest keyframe.
 * @param {HTMLCanvasElement} canvas
 * @param {string} stream
 * @returns {Promise<string>} when it was recorded, "" where the hub does not say
 */
export async function draw(canvas, stream) {
  const query = new URLSearchParams({ stream });
  const answer = await send("GET", `/v1/hls/keyframe.mp4?${query}`);
  const address = URL.createObjectURL(await answer.blob());
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  try {
    await decoded(video, address);
    const scale = Math.min(1, widest / video.videoWidth);
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    canvas.getContext("2d")?.drawImage(video, 0, 0, canvas.width, canvas.height);
  } finally {
    video.removeAttribute("src");
    video.load();
    URL.revokeObjectURL(address);
  }
  return answer.headers.get("Kvs-Edge-Recorded") ?? "";
}

/** @param {HTMLVideoElement} video @param {string} address @returns {Promise<void>} */
function decoded(video, address) {
  return new Promise((resolve, reject) => {
    const end = setTimeout(() => reject(new Error("The browser did not show the picture.")), patience);
    const done = () => {
      clearTimeout(end);
      resolve();
    };
    // Only a picture that was presented can be drawn, and a video that is in no document presents none until it plays.
    if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(done);
    else /** @type {HTMLVideoElement} */ (video).onended = done;
    video.onerror = () => {
      clearTimeout(end);
      reject(new Error("This browser does not show the camera's codec."));
    };
    video.src = address;
    video.play().catch(reject);
  });
}
