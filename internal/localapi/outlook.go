package localapi

import (
	"github.com/kvs-edge/kvs-edge-agent/internal/cost"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/history"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// Forecast predicts the space of a stream, or of the whole disk, if recording continues as now.
type Forecast struct {
	Stream string `json:"stream,omitempty"` // "" for the disk
	// LimitBytes is 0 for a stream without a limit; of the disk it is its size.
	UsedBytes  int64 `json:"usedBytes"`
	LimitBytes int64 `json:"limitBytes"`
	status.Forecast
}

// Condition is one that is in force, with what helps.
type Condition struct {
	Stream string `json:"stream,omitempty"` // "" for the agent itself
	status.Condition
	Title string `json:"title,omitempty"` // of all conditions with this code
	Help  string `json:"help,omitempty"`  // where the documentation says more
}

func (s *Server) getForecasts(*request) (any, error) {
	if s.o.Agent.Snapshot == nil {
		return nil, errNotHere
	}
	snapshot := s.o.Agent.Snapshot()
	disk := Forecast{UsedBytes: snapshot.Disk.TotalBytes - snapshot.Disk.FreeBytes, LimitBytes: snapshot.Disk.TotalBytes,
		Forecast: snapshot.Disk.Forecast}
	list := []Forecast{disk}
	for _, st := range snapshot.Streams {
		list = append(list, Forecast{st.Name, st.Space.UsedBytes, st.Space.LimitBytes, st.Space.Forecast})
	}
	return list, nil
}

func (s *Server) getConditions(*request) (any, error) {
	if s.o.Agent.Snapshot == nil {
		return nil, errNotHere
	}
	return conditionsOf(s.o.Agent.Snapshot()), nil
}

// conditionsOf lists the conditions of a snapshot: those of the agent first, then by stream.
func conditionsOf(snapshot status.Snapshot) []Condition {
	list := []Condition{}
	add := func(stream string, conditions []status.Condition) {
		for _, c := range conditions {
			one := Condition{Stream: stream, Condition: c}
			if d, ok := health.Declared(c.Code); ok {
				one.Title, one.Help = d.Title, "troubleshooting.md#"+d.Anchor
			}
			list = append(list, one)
		}
	}
	add("", snapshot.Agent)
	for _, st := range snapshot.Streams {
		add(st.Name, st.Conditions)
	}
	for _, o := range snapshot.Orphans {
		add(o.Name, o.Conditions)
	}
	return list
}

// getHistory answers with how things were.
func (s *Server) getHistory(r *request) (any, error) {
	if s.o.Agent.History == nil {
		return nil, errNotHere
	}
	return s.o.Agent.History(r.From), nil
}

// getCosts answers with what was uploaded each day.
func (s *Server) getCosts(*request) (any, error) {
	if s.o.Uploads.Counted == nil {
		return nil, errNotHere
	}
	tier := func(stream string) (name string) {
		if s.o.Uploads.Storage != nil {
			name, _ = s.o.Uploads.Storage(stream)
		}
		return name
	}
	return history.CostsOf(s.o.Uploads.Counted, tier, cost.Embedded(), s.now()), nil
}
