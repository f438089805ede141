package localapi

import (
	"net/http"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/changes"
	"github.com/kvs-edge/kvs-edge-agent/internal/history"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi/query"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi/socket"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/usage"
)

// The paths of the local API.
const (
	pathStatus       = "/v1/status"
	pathSettings     = "/v1/settings"
	pathLogLevel     = "/v1/log-level"
	pathReload       = "/v1/reload"
	pathReadSecrets  = "/v1/read-secrets"
	pathDeleteStream = "/v1/delete-stream"
	pathUpload       = "/v1/upload"
	pathAudit        = "/v1/audit"
	pathCheck        = "/v1/check"
	pathMetrics      = "/metrics"
	pathStreams      = "/v1/streams"
	pathSegments     = "/v1/segments"
	pathSegment      = "/v1/segment"
	pathGaps         = "/v1/gaps"
	pathFragments    = "/v1/fragments"
	pathMedia        = "/v1/media"
	pathVerification = "/v1/verification"
	pathChanges      = "/v1/changes"
	pathForecasts    = "/v1/forecasts"
	pathConditions   = "/v1/conditions"
	pathHistory      = "/v1/history"
	pathCosts        = "/v1/costs"
	pathUsage        = "/v1/usage"
	pathHolds        = "/v1/holds"
	pathEvidence     = "/v1/evidence"
	pathArchive      = "/v1/evidence.zip"
	pathEvents       = "/v1/events"
	pathWebLink      = "/v1/web/link"
	pathWebPassword  = "/v1/web/password"
)

// Right is what a peer needs for a request.
type Right = socket.Right

// The rights, see there.
const (
	Read    = socket.Read
	Operate = socket.Operate
)

// Route is a row of the local API: all that is known of a request is here, and nowhere else.
type Route struct {
	Method string
	Path   string
	Right  Right
	// Doc is one sentence for docs/api.md and the OpenAPI file.
	Doc    string
	Params []query.Param
	// Most is how many of these requests are served at once, for each right; 0: as many as there are connections.
	Most int
	// Body is a value of what the body of the request holds: a string for text, else what JSON is read into. nil: no body.
	Body any
	// Answer is a value of what the answer holds, in Type: a string for text, else JSON. nil: the answer is empty.
	Answer any
	// Type is the media type of the answer. Default: that of Answer.
	Type  string
	Types []string // further ones, which parameters choose
	// Socket is that it is not served to browsers.
	Socket bool

	serve func(*Server, *request) (answer any, err error)
}

// The media types of answers.
const (
	typeJSON   = "application/json"
	typeText   = "text/plain; charset=utf-8"
	typeNDJSON = "application/x-ndjson"
)

// How many requests are served at once that read much of the disk.
const (
	scans     = 8
	readers   = 16
	verifiers = 2
	followers = 32 // of changes, which read nothing
	audits    = 8
)

// ofStore serves what is read of recordings.
func ofStore(serve func(*Server, *request) (any, error)) func(*Server, *request) (any, error) {
	return func(s *Server, r *request) (any, error) {
		if s.o.Store == nil {
			return nil, errNotHere
		}
		return serve(s, r)
	}
}

// Routes is the local API. A handler returns what is answered as JSON, or writes the answer itself and returns nil.
func Routes() []Route {
	return append([]Route{
		{Method: http.MethodGet, Path: pathStatus, Answer: status.Snapshot{}, serve: (*Server).getStatus,
			Doc: "The state of the agent and of all streams: what `status --json` prints, [field by field](status.md)."},
		{Method: http.MethodGet, Path: pathSettings, Answer: []Setting{}, serve: (*Server).getSettings,
			Doc: "The settings in effect, without secrets."},
		{Method: http.MethodGet, Path: pathLogLevel, Answer: "INFO", serve: (*Server).getLogLevel,
			Doc: "The name of the level that is logged."},
		{Method: http.MethodPut, Path: pathLogLevel, Body: "DEBUG", Answer: "DEBUG", serve: (*Server).putLogLevel,
			Doc: "Changes what is logged until the agent ends. Readers may, as it does not affect the agent's work."},
		{Method: http.MethodGet, Path: pathMetrics, Answer: "", Type: "text/plain; version=0.0.4", serve: (*Server).getMetrics,
			Doc: "[Prometheus text](metrics.md)."},
		{Method: http.MethodGet, Path: pathConditions, Answer: []Condition{}, serve: (*Server).getConditions,
			Doc: "The present conditions of the agent and of all streams, with their codes and help pages."},
		{Method: http.MethodGet, Path: pathForecasts, Answer: []Forecast{}, serve: (*Server).getForecasts,
			Doc: "How long the space will last: of the disk first, then of each stream."},
		{Method: http.MethodGet, Path: pathStreams, Answer: []RecordedStream{}, serve: ofStore((*Server).getStreams),
			Doc: "The streams that have recordings, with their sums."},
		{Method: http.MethodGet, Path: pathSegments, Answer: SegmentPage{}, serve: ofStore((*Server).getSegments), Most: scans,
			Params: []query.Param{query.Stream, query.From, query.To, query.Limit, query.After, query.Read},
			Doc:    "The recordings of a stream in a time range, oldest first, with their upload state and gaps."},
		{Method: http.MethodGet, Path: pathGaps, Answer: GapPage{}, serve: ofStore((*Server).getGaps), Most: scans,
			Params: []query.Param{query.Stream, query.From, query.To, query.Limit, query.After, query.Read},
			Doc:    "When nothing was recorded in a time range, and why. A page covers `limit` segments."},
		{Method: http.MethodGet, Path: pathFragments, Answer: FragmentPage{}, serve: ofStore((*Server).getFragments), Most: scans,
			Params: []query.Param{query.Stream, query.From, query.To, query.Limit, query.After},
			Doc:    "The fragments of a time range, oldest first: when they were recorded, where they are, and whether they are uploaded."},
		{Method: http.MethodGet, Path: pathSegment, Type: typeMatroska, serve: ofStore((*Server).getSegment), Most: readers,
			Params: []query.Param{query.Stream, query.Segment},
			Doc:    "The file of a segment, complete or a range of it (`Range`, `If-Range`, `ETag`)."},
		{Method: http.MethodGet, Path: pathMedia, Type: typeMatroska, serve: ofStore((*Server).getMedia), Most: readers,
			Params: []query.Param{query.Stream, query.From, query.To, query.Format}, Types: []string{typeMP4},
			Doc: "The media of a time range as one file of Matroska or MP4, cut at fragments and sent as fast as it is read."},
		{Method: http.MethodGet, Path: pathEvidence, Right: Operate, Answer: Evidence{}, serve: ofStore((*Server).getEvidence), Most: verifiers,
			Params: []query.Param{query.Stream, query.From, query.To},
			Doc: "Reads the media of a time range and signs with the device's key what it is: the files of an archive of " +
				"[evidence](evidence.md) beside the media, and of which time that is to be fetched."},
		{Method: http.MethodGet, Path: pathArchive, Right: Operate, Type: typeZip, serve: ofStore((*Server).getArchive), Most: verifiers,
			Params: []query.Param{query.Stream, query.From, query.To},
			Doc: "The whole archive of [evidence](evidence.md) of a time range, as one file. The media is read twice; one that is deleted or " +
				"changed meanwhile cuts the answer off."},
		{Method: http.MethodGet, Path: pathUsage, Answer: []usage.Stream{}, serve: ofStore((*Server).getUsage), Most: scans,
			Params: []query.Param{query.AnyStream, query.From, query.To},
			Doc: "What each stream has uploaded, and is to upload, of the media of whole days (UTC) in a time range, by default the last 7 " +
				"days and today: what [`cost`](cost.md) is reckoned from."},
		{Method: http.MethodGet, Path: pathVerification, Answer: Verification{}, Type: typeNDJSON, serve: ofStore((*Server).getVerification),
			Most: verifiers, Params: []query.Param{query.AnyStream, query.From, query.To},
			Doc: "Reads every byte of recordings: a line for each segment with what is damaged."},
		{Method: http.MethodGet, Path: pathChanges, Answer: changes.Change{}, Type: typeEvents, serve: (*Server).getChanges, Most: followers,
			Params: []query.Param{query.AnyStream},
			Doc:    "[What changes](#changes), as server-sent events, until the client disconnects."},
		{Method: http.MethodGet, Path: pathEvents, Answer: []Event{}, serve: ofStore((*Server).getEvents), Most: scans,
			Params: []query.Param{query.AnyStream, query.From, query.To, query.Limit},
			Doc: "The [events](events.md) of a time range, oldest first, with what is recorded and what is in the cloud of each; of more than " +
				"`limit` the newest."},
	}, slices.Concat(pastRoutes(), playRoutes(), operations())...)
}

// pastRoutes are those of how things were.
func pastRoutes() []Route {
	return []Route{
		{Method: http.MethodGet, Path: pathHistory, Answer: history.Series{}, Params: []query.Param{query.From}, serve: (*Server).getHistory,
			Doc: "How the backlog, the disk and the line were since `from`, as far as the agent remembers since its start: a point for each 2 " +
				"minutes of the last 6 hours or, for earlier times, for each hour of 7 days."},
		{Method: http.MethodGet, Path: pathCosts, Answer: history.Costs{}, serve: (*Server).getCosts,
			Doc: "What was uploaded of the media of each of the last 30 days (UTC), and what the service charges for taking it in."},
	}
}

// operations are the routes of those who may operate.
func operations() []Route {
	return append([]Route{
		{Method: http.MethodPost, Path: pathEvents, Right: Operate, Body: EventRequest{}, Answer: TriggeredEvent{}, serve: (*Server).postEvent,
			Doc: "Begins an [event](events.md), or extends an open one; the answer comes once it is on the disk."},
		{Method: http.MethodPost, Path: pathReadSecrets, Right: Operate, serve: (*Server).readSecrets,
			Doc: "Reads the cameras' secrets again at once. The answer does not wait for that."},
		{Method: http.MethodPost, Path: pathReload, Right: Operate, Answer: Reloaded{}, serve: (*Server).reload,
			Doc: "Reads the settings again and applies them; 400 with a sentence when they are refused, which changes nothing."},
		{Method: http.MethodPost, Path: pathDeleteStream, Right: Operate, Body: "old-door", Answer: DeletedStream{},
			serve: (*Server).deleteStream,
			Doc:   "Deletes the recordings of a stream that is not configured; 400 with a sentence when it is refused."},
		{Method: http.MethodPost, Path: pathUpload, Right: Operate, Body: UploadRequest{}, Answer: UploadProgress{}, Type: typeNDJSON,
			serve: (*Server).upload,
			Doc:   "Uploads a time range now, or with `refused` instead of the times the refused fragments: a line for each step."},
		{Method: http.MethodPost, Path: pathAudit, Right: Operate, Body: AuditRequest{}, Answer: AuditProgress{}, Type: typeNDJSON,
			serve: (*Server).audit, Most: audits,
			Doc: "[Compares](audit.md) what was uploaded of a time range with what the cloud lists, and with `repair` sends again what is " +
				"missing there: a line for each step."},
		{Method: http.MethodPost, Path: pathCheck, Right: Operate, Answer: CheckProgress{}, Type: typeNDJSON, serve: (*Server).check, Most: 1,
			Doc: "Does what the command [`check`](troubleshooting.md) does, as the agent itself: a line for each result. It ends when the " +
				"client disconnects; there is one at a time."},
	}, holdRoutes()...)
}

// holdRoutes are those about holds and the web pages.
func holdRoutes() []Route {
	return []Route{
		{Method: http.MethodPost, Path: pathWebLink, Right: Operate, Body: WebLinkRequest{}, Answer: WebLink{}, Socket: true,
			serve: (*Server).webLink, Doc: "A link that signs a browser in to the [web pages](web.md), once and within 5 minutes."},
		{Method: http.MethodPut, Path: pathWebPassword, Right: Operate, Body: WebPassword{}, Socket: true, serve: (*Server).webPassword,
			Doc: "Sets the password of a role of the [web pages](web.md), or with an empty one removes it, and ends the role's sessions."},
		{Method: http.MethodGet, Path: pathHolds, Answer: []Hold{}, serve: ofStore((*Server).getHolds), Most: scans,
			Params: []query.Param{query.AnyStream},
			Doc:    "The [holds](holds.md), with the recordings that each keeps from being deleted now."},
		{Method: http.MethodPost, Path: pathHolds, Right: Operate, Body: HoldRequest{}, Answer: Hold{}, serve: (*Server).addHold,
			Doc: "Adds a hold: when it is answered, its recordings are held. 400 with a sentence when it is refused or does not fit."},
		{Method: http.MethodDelete, Path: pathHolds, Right: Operate, Answer: Hold{}, serve: (*Server).removeHold,
			Params: []query.Param{query.Hold},
			Doc:    "Removes a hold: its recordings may be deleted again. The log says who asked."},
	}
}

// MediaType is the type of a route's answer.
func (r Route) MediaType() string {
	if r.Type != "" {
		return r.Type
	}
	return MediaTypeOf(r.Answer)
}

// MediaTypeOf is the type of a body that holds such a value: text for a string, else JSON.
func MediaTypeOf(value any) string {
	if _, text := value.(string); text {
		return typeText
	}
	return typeJSON
}
