package status

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// sentence is a line below the table.
type sentence struct {
	severity health.Severity
	code     string
	subject  string // the stream; "" for the agent
	text     string
}

// sentences are all that want attention, in the order of the streams.
func sentences(s Snapshot) []sentence {
	var list []sentence
	add := func(subject string, c Condition) {
		name := subject
		if name == "" {
			name = "agent"
		}
		text := fmt.Sprintf("%s %s %s: %s (since %s)", mark(c.Severity), name, c.Job, c.Text, humanize.Span(s.Time.Sub(c.Since)))
		list = append(list, sentence{c.Severity, c.Job + " " + c.Code, subject, text})
	}
	for _, c := range s.Agent {
		add("", c)
	}
	for _, st := range s.Streams {
		for _, c := range st.Conditions {
			add(st.Name, c)
		}
		if text := secretRead(s.Time, st); text != "" {
			list = append(list, sentence{health.Info, "secret-read", st.Name, fmt.Sprintf("%s %s recorder: %s", mark(health.Info), st.Name, text)})
		}
		if text := deletions(st); text != "" {
			list = append(list, sentence{health.Info, "deletion", st.Name, fmt.Sprintf("%s %s retention: %s", mark(health.Info), st.Name, text)})
		}
	}
	if text := storageTiers(s.Streams); text != "" {
		subject, name := "", "agent"
		if len(s.Streams) == 1 {
			subject, name = s.Streams[0].Name, s.Streams[0].Name
		}
		list = append(list, sentence{health.Info, "storage-tier", subject, fmt.Sprintf("%s %s uploader: %s", mark(health.Info), name, text)})
	}
	for _, o := range s.Orphans {
		for _, c := range o.Conditions {
			add(o.Name, c)
		}
		list = append(list, sentence{health.Info, "orphan", o.Name, fmt.Sprintf("%s %s retention: %s", mark(health.Info), o.Name, o.sentence())})
	}
	return list
}

// namedPerTier is of how many streams of a storage tier the names are shown.
const namedPerTier = 4

// storageTiers says in which storage tiers the streams are, as far as that is known; "" where it is known of none.
func storageTiers(streams []Stream) string {
	byTier := make(map[string][]string)
	for _, st := range streams {
		if st.StorageTier != "" {
			byTier[st.StorageTier] = append(byTier[st.StorageTier], st.Name)
		}
	}
	var parts []string
	for _, tier := range slices.Sorted(maps.Keys(byTier)) {
		names := byTier[tier]
		switch {
		case len(streams) == 1:
			parts = append(parts, tier)
		case len(names) <= namedPerTier:
			parts = append(parts, tier+" ("+humanize.List(names)+")")
		default:
			parts = append(parts, tier+" ("+humanize.Count(len(names), "stream")+")")
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "storage tier " + strings.Join(parts, ", ")
}

// secretRead says how old the address is of a camera that is in trouble.
func secretRead(now time.Time, st Stream) string {
	trouble := slices.ContainsFunc(st.Conditions, func(c Condition) bool { return c.Job == health.JobRecorder && c.Severity == health.Failed })
	switch {
	case !trouble, st.Wanted.MediaURI != "" && !strings.HasPrefix(st.Wanted.MediaURI, "arn:"): // its URL is in a stream file
		return ""
	case st.Recorder.SecretRead.IsZero():
		return "No URL of the camera was ever read from its secret; `kvs-edge-agent reload` reads it at once."
	default:
		return fmt.Sprintf("The camera's secret was last read %s ago; `kvs-edge-agent reload` reads it at once.",
			humanize.Span(now.Sub(st.Recorder.SecretRead)))
	}
}

// deletions says what retention is about to delete that is not uploaded.
func deletions(st Stream) string {
	f := st.Space.Forecast
	if f.NextNotUploaded == 0 {
		return ""
	}
	return fmt.Sprintf("the next pass deletes %s, of which %s are not uploaded.", humanize.Bytes(f.NextBytes),
		humanize.Bytes(f.NextNotUploaded))
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
