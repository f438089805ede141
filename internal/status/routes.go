package status

import (
	"context"
	"io"
	"net/http"

	"go.uber.org/zap"
)

// Setting is a setting in effect. Value holds no secret.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// LogLevel is what is logged, and can be changed.
type LogLevel interface {
	Get() string
	Set(name string) error
}

const (
	// maxLevelName is far more than the name of any level.
	maxLevelName = 64
	// maxStreamName is that of KVS. Source: API, CreateStream.
	maxStreamName = 256
)

// ServeSettings adds GET /v1/settings.
func (s *Server) ServeSettings(settings func() []Setting) {
	s.Handle("GET "+pathSettings, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.writeJSON(w, settings())
	}))
}

// ServeLogLevel adds GET and PUT /v1/log-level, whose bodies are the level's name.
func (s *Server) ServeLogLevel(level LogLevel) {
	get := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, level.Get()+"\n") }
	s.Handle("GET "+pathLogLevel, http.HandlerFunc(get))
	s.Handle("PUT "+pathLogLevel, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLevelName))
		if err == nil {
			before := level.Get()
			if err = level.Set(string(name)); err == nil {
				s.log.Warn("the log level was changed", zap.String("from", before), zap.String("to", level.Get()))
				get(w, r)
				return
			}
		}
		http.Error(w, err.Error(), http.StatusBadRequest)
	}))
}

// Reloaded is what a reload of the settings did; each list has names.
type Reloaded struct {
	Changed      []string `json:"changed,omitempty"`      // settings that have another value now
	Streams      []string `json:"streams,omitempty"`      // whose jobs were restarted by that
	AfterRestart []string `json:"afterRestart,omitempty"` // variables whose new value waits for a restart
	Unknown      []string `json:"unknown,omitempty"`      // variables that look like a setting and are none
}

// ServeReload adds POST /v1/reload. An error of reload is a sentence for whoever asked.
func (s *Server) ServeReload(reload func() (Reloaded, error)) {
	s.Handle("POST "+pathReload, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		done, err := reload()
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.writeJSON(w, done)
	}))
}

// DeletedStream is what was deleted of a stream.
type DeletedStream struct {
	Stream   string `json:"stream"`
	Segments int    `json:"segments"`
	Bytes    int64  `json:"bytes"`
}

// ServeDeleteStream adds POST /v1/delete-stream, whose body is the name of the stream. An error of remove is a
// sentence for whoever asked.
func (s *Server) ServeDeleteStream(remove func(ctx context.Context, stream string) (DeletedStream, error)) {
	s.Handle("POST "+pathDeleteStream, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxStreamName))
		var done DeletedStream
		if err == nil {
			done, err = remove(r.Context(), string(name))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.writeJSON(w, done)
	}))
}

// ServeReadSecrets adds POST /v1/read-secrets, which asks for the cameras' secrets to be read again.
func (s *Server) ServeReadSecrets(read func()) {
	s.Handle("POST "+pathSecrets, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		read()
	}))
}
