package localapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/changes"
	"github.com/kvs-edge/kvs-edge-agent/internal/history"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/lost"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// Agent is what a running agent answers with and does. A function without which a route makes no sense may be nil: the route
// is not found then.
type Agent struct {
	Snapshot func() status.Snapshot
	// Changes are those of late; nil: nobody follows them.
	Changes *changes.Feed
	// Configured lists the configured streams.
	Configured func() []string
	// History is how things were since a time.
	History  func(from time.Time) history.Series
	Settings func() []Setting
	LogLevel LogLevel
	Metrics  http.Handler
	// ReadSecrets asks for the cameras' secrets to be read again, and does not wait for that.
	ReadSecrets func()
	// An error of these is a sentence for the client.
	Reload       func() (Reloaded, error)
	DeleteStream func(ctx context.Context, stream string) (DeletedStream, error)
	Upload       func(ctx context.Context, r UploadRequest, each func(UploadProgress)) error
	Audit        func(ctx context.Context, r AuditRequest, each func(AuditProgress)) error
	Check        func(ctx context.Context, each func(CheckProgress)) error
	// AddHold and RemoveHold change holds; by is who asked.
	AddHold    func(ctx context.Context, r HoldRequest, by string) (Hold, error)
	RemoveHold func(id, by string) (Hold, error)
	Evidence   func(ctx context.Context, span Span) (Evidence, error)
	// EvidenceReady says why no evidence of a stream can be made now, without making any; nil: nobody knows beforehand.
	EvidenceReady func(stream string) error
	TriggerEvent  func(ctx context.Context, r EventRequest, by string) (TriggeredEvent, error)
	// Events lists the last most events of a stream, or with an empty name of all, in a time range.
	Events func(stream string, from, to time.Time, most int) []Event
	// Lost lists what was deleted of a stream before its upload, of a time range, in the order of its times; a zero time is unbounded.
	Lost func(stream string, from, to time.Time) []lost.Range
	// WebLink and SetWebPassword are about the web pages; nil: there are none.
	WebLink        func(WebLinkRequest) (WebLink, error)
	SetWebPassword func(context.Context, WebPassword) error
}

// WebLinkRequest is the body of POST /v1/web/link. Role is view or operate.
type WebLinkRequest struct {
	Role string `json:"role"`
}

// WebLink is where the web pages are, and how a browser signs in.
type WebLink struct {
	Address     string    `json:"address"`               // where they listen: host:port
	URL         string    `json:"url"`                   // of the pages; its host is one of the hub's if Address has none
	Path        string    `json:"path"`                  // the link, below URL
	Expires     time.Time `json:"expires"`               // of the link
	Fingerprint string    `json:"fingerprint,omitempty"` // SHA-256 of the certificate; missing without TLS
	SelfSigned  bool      `json:"selfSigned,omitempty"`
	Names       []string  `json:"names,omitempty"`   // what the operator's certificate is for: other addresses warn
	Trouble     string    `json:"trouble,omitempty"` // what is wrong with it
}

// WebPassword is the body of PUT /v1/web/password. An empty password removes it.
type WebPassword struct {
	Role     string `json:"role"`
	Password string `json:"password"`
}

// Setting is a setting in effect. Value holds no secret.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	// Origin is file, environment or default, Effect when a change takes effect, and Meaning what it is, in Markdown.
	Origin  string `json:"origin,omitempty"`
	Effect  string `json:"effect,omitempty"`
	Meaning string `json:"meaning,omitempty"`
}

// LogLevel is what is logged, and can be changed.
type LogLevel interface {
	Get() string
	Set(name string) error
}

// Reloaded is what a reload of the settings did; each list has names.
type Reloaded struct {
	Changed      []string `json:"changed,omitempty"`      // settings that have another value now
	Streams      []string `json:"streams,omitempty"`      // whose jobs were restarted by that
	AfterRestart []string `json:"afterRestart,omitempty"` // variables whose new value waits for a restart
	Unknown      []string `json:"unknown,omitempty"`      // variables that look like a setting and are none
}

// DeletedStream is what was deleted of a stream.
type DeletedStream struct {
	Stream   string `json:"stream"`
	Segments int    `json:"segments"`
	Bytes    int64  `json:"bytes"`
}

// UploadRequest is the body of POST /v1/upload: what was recorded from (inclusive) to (exclusive), or, with
// Refused, what the service refused, whenever it was recorded.
type UploadRequest struct {
	Stream  string    `json:"stream"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Refused bool      `json:"refused,omitempty"`
}

// UploadProgress is a line of the answer. The last one is finished or has an error.
type UploadProgress struct {
	Total    int  `json:"fragments"`
	Done     int  `json:"done"`
	Refused  int  `json:"refused,omitempty"` // of done: kept on the hub, as the service does not accept them
	Finished bool `json:"finished,omitempty"`
	// Bytes of those that are done, of TotalBytes; an agent of before leaves them out.
	Bytes      int64  `json:"bytes,omitempty"`
	TotalBytes int64  `json:"totalBytes,omitempty"`
	Error      string `json:"error,omitempty"`
}

const (
	// maxLevelName is far more than the name of any level.
	maxLevelName = 64
	// maxStreamName is that of KVS. Source: API, CreateStream.
	maxStreamName = 256
)

func (s *Server) getStatus(*request) (any, error) {
	if s.o.Agent.Snapshot == nil {
		return nil, errNotHere
	}
	return s.o.Agent.Snapshot(), nil
}

func (s *Server) getSettings(*request) (any, error) {
	if s.o.Agent.Settings == nil {
		return nil, errNotHere
	}
	return s.o.Agent.Settings(), nil
}

func (s *Server) getLogLevel(r *request) (any, error) {
	if s.o.Agent.LogLevel == nil {
		return nil, errNotHere
	}
	return nil, r.text(s.o.Agent.LogLevel.Get() + "\n")
}

func (s *Server) putLogLevel(r *request) (any, error) {
	level := s.o.Agent.LogLevel
	if level == nil {
		return nil, errNotHere
	}
	before := level.Get()
	name, err := r.name(maxLevelName)
	if err == nil {
		err = level.Set(name)
	}
	if err != nil {
		return nil, refused(err)
	}
	logevent.LogLevelChanged.Log(s.o.Log, zap.String("from", before), zap.String("to", level.Get()))
	return s.getLogLevel(r)
}

func (s *Server) getMetrics(r *request) (any, error) {
	if s.o.Agent.Metrics == nil {
		return nil, errNotHere
	}
	s.o.Agent.Metrics.ServeHTTP(r.w, r.Request)
	return nil, nil
}

func (s *Server) readSecrets(*request) (any, error) {
	if s.o.Agent.ReadSecrets == nil {
		return nil, errNotHere
	}
	s.o.Agent.ReadSecrets()
	return nil, nil
}

func (s *Server) reload(*request) (any, error) {
	if s.o.Agent.Reload == nil {
		return nil, errNotHere
	}
	done, err := s.o.Agent.Reload()
	return done, refused(err)
}

func (s *Server) deleteStream(r *request) (any, error) {
	if s.o.Agent.DeleteStream == nil {
		return nil, errNotHere
	}
	name, err := r.name(maxStreamName)
	if err != nil {
		return nil, refused(err)
	}
	done, err := s.o.Agent.DeleteStream(r.Context(), name)
	return done, refused(err)
}

// upload answers with a line of JSON whenever the upload has come further, the last of which says how it ended. The
// upload ends when the client hangs up.
func (s *Server) upload(r *request) (any, error) {
	if s.o.Agent.Upload == nil {
		return nil, errNotHere
	}
	var in UploadRequest
	if err := r.decode(&in, "an upload"); err != nil {
		return nil, err
	}
	return lines(r, func(each func(UploadProgress)) error { return s.o.Agent.Upload(r.Context(), in, each) },
		func(last *UploadProgress, err error) { last.Error = err.Error() })
}

// lines answers with a line of JSON whenever work has come further. Where it ends with an error, ended puts that into one more.
func lines[P any](r *request, work func(each func(P)) error, ended func(last *P, err error)) (any, error) {
	r.w.Header().Set("Content-Type", typeNDJSON)
	var last P
	err := work(func(p P) {
		last = p
		_ = r.line(p) // a client that is gone ends the request
	})
	if err != nil {
		ended(&last, err)
		_ = r.line(last)
	}
	return nil, nil
}

// CheckProgress is a line of the answer: a result, or what is awaited. The last one is finished, with ok where all is well, or has an
// error.
type CheckProgress struct {
	Check    string `json:"check,omitempty"` // what was checked
	Stream   string `json:"stream,omitempty"`
	OK       bool   `json:"ok"`
	Text     string `json:"text,omitempty"` // what was found, or what is wrong and what to do
	Waiting  string `json:"waiting,omitempty"`
	Finished bool   `json:"finished,omitempty"`
	Error    string `json:"error,omitempty"`
}

func (s *Server) check(r *request) (any, error) {
	if s.o.Agent.Check == nil {
		return nil, errNotHere
	}
	return lines(r, func(each func(CheckProgress)) error { return s.o.Agent.Check(r.Context(), each) },
		func(last *CheckProgress, err error) { *last = CheckProgress{Error: err.Error()} })
}

func (s *Server) webLink(r *request) (any, error) {
	var in WebLinkRequest
	if s.o.Agent.WebLink == nil {
		return nil, errNoWeb
	}
	if err := r.decode(&in, "a link"); err != nil {
		return nil, err
	}
	done, err := s.o.Agent.WebLink(in)
	return done, refused(err)
}

func (s *Server) webPassword(r *request) (any, error) {
	var in WebPassword
	if s.o.Agent.SetWebPassword == nil {
		return nil, errNoWeb
	}
	if json.Unmarshal(r.body, &in) != nil { // whose error could quote the password
		return nil, refused(errors.New("the request is not the JSON of a password"))
	}
	return nil, refused(s.o.Agent.SetWebPassword(r.Context(), in))
}
