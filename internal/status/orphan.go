package status

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// Orphan is a stream that is not configured for this hub: its recordings stay under the last policy that it had.
type Orphan struct {
	Name                string      `json:"name"`
	Segments            int         `json:"segments"`
	UsedBytes           int64       `json:"usedBytes"`
	QuarantineBytes     int64       `json:"quarantineBytes,omitempty"`
	NotUploadedBytes    int64       `json:"notUploadedBytes"`
	Oldest              time.Time   `json:"oldest,omitzero"`
	Newest              time.Time   `json:"newest,omitzero"`
	Policy              string      `json:"policy,omitempty"` // what is kept of it, for people
	DeletedBeforeUpload int64       `json:"deletedBeforeUpload"`
	Conditions          []Condition `json:"conditions,omitempty"`
}

// orphanJobs are those that go on for a stream that is not configured.
var orphanJobs = []string{health.JobRetention, health.JobStore}

// orphans are the streams beside those that are configured, by name.
func (c *Collector) orphans(configured []Stream, parts map[health.Key]health.ComponentSnapshot) []Orphan {
	names := make(map[string]bool)
	if c.Recorded != nil {
		for _, name := range c.Recorded() {
			names[name] = true
		}
	}
	for key, part := range parts {
		if key.Stream != "" && len(part.Conditions) > 0 && slices.Contains(orphanJobs, key.Job) {
			names[key.Stream] = true
		}
	}
	for _, st := range configured {
		delete(names, st.Name)
	}
	var list []Orphan
	for _, name := range slices.Sorted(maps.Keys(names)) {
		usage := c.Store.Usage(name)
		o := Orphan{
			Name: name, Segments: usage.Segments, UsedBytes: usage.Bytes, QuarantineBytes: usage.Quarantine, NotUploadedBytes: usage.PendingBytes,
			Oldest: usage.Oldest, Newest: usage.Newest,
			DeletedBeforeUpload: parts[health.Key{Stream: name, Job: health.JobRetention}].Numbers[health.DeletedBeforeUpload],
		}
		if c.Policy != nil {
			o.Policy = c.Policy(name)
		}
		for _, job := range orphanJobs {
			o.Conditions = appendConditions(o.Conditions, parts[health.Key{Stream: name, Job: job}])
		}
		list = append(list, o)
	}
	return list
}

// sentence says what an orphan is, and how to be rid of it.
func (o Orphan) sentence() string {
	if o.Segments == 0 && o.UsedBytes == 0 {
		return "The stream is not configured for this hub, and there are no recordings of it left."
	}
	text := fmt.Sprintf("The stream is not configured for this hub; its %s (%s, of which %s are not uploaded) stay",
		humanize.Count(o.Segments, "recording"),
		humanize.Bytes(o.UsedBytes), humanize.Bytes(o.NotUploadedBytes))
	if o.Policy != "" {
		text += ", " + o.Policy
	}
	return text + ". `kvs-edge-agent streams delete " + o.Name + "` deletes them."
}
