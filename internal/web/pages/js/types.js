// What the local API answers, as far as these pages use it: docs/api.md and docs/status.md say more.
/**
 * @typedef {{role: "view"|"operate", thing: string}} Session
 * @typedef {{job: string, code: string, class: string, severity: "info"|"degraded"|"failed", text: string, since: string, count?: number}} Condition
 * @typedef {Condition & {stream?: string, title?: string, help?: string}} ListedCondition
 * @typedef {{days: number, fullAt?: string, nextDeletionBytes: number, nextDeletionNotUploadedBytes: number}} Forecast
 * @typedef {{state: string, since: string, status: string, details?: string, nextWindow?: string}} Job
 * @typedef {Job & {lastFrame?: string, bitrateBps: number, fps: number, framesRecorded: number, framesLost: number, gaps: number}} Recorder
 * @typedef {Job & {backlogSeconds: number, backlogBytes: number, backlogDone?: string, lastPersistedMedia?: string, openEvents?: number}} Uploader
 * @typedef {{usedBytes: number, limitBytes: number, heldBytes?: number, oldest?: string, forecast: Forecast}} Space
 * @typedef {{name: string, wanted: {record: string, upload: string, keep: string, media: string}, recorder: Recorder, uploader: Uploader,
 *   space: Space, conditions?: Condition[]}} Stream
 * @typedef {{name: string, usedBytes: number, notUploadedBytes: number, oldest?: string, newest?: string, policy?: string}} Orphan
 * @typedef {{setting: string, capBytes: number, usedBytes: number, resetsAt?: string, reachedAt?: string, suffices?: boolean,
 *   clockTrusted: boolean, notUploaded?: string}} UploadCap
 * @typedef {{time: string, version: string, thing: string, started: string, verdict: "healthy"|"degraded"|"down",
 *   disk: {directory: string, freeBytes: number, totalBytes: number, forecast: Forecast}, uploadCap?: UploadCap,
 *   agent?: Condition[], streams: Stream[], orphans?: Orphan[]}} Status
 * @typedef {{name: string, value: string, origin?: string, effect?: string, meaning?: string}} Setting
 * @typedef {{check?: string, stream?: string, ok: boolean, text?: string, waiting?: string, finished?: boolean, error?: string}} CheckProgress
 * @typedef {{stream: string, from: string, to: string, mediaSeconds: number, bytes: number, fragments: number, calls: number,
 *   waitingBytes: number, storageTier?: string, retentionHours?: number}} Usage
 * @typedef {{since?: string, stepSeconds: number, times: number[], diskUsedBytes: number[], diskTotalBytes: number, lineSentBytes?: number[],
 *   lineReceivedBytes?: number[], streams: {name: string, backlogBytes: number[], usedBytes: number[]}[]}} History
 * @typedef {{currency: string, region: string, date: string, days: {date: string, bytes: number, fragments: number, calls: number, ingest: number}[],
 *   tierAssumed?: string[]}} Costs
 */
export {};
