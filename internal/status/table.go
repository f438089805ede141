package status

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// WriteTable writes the snapshot as a person likes to read it: a line for the agent, a row for
// each stream, and below them one sentence for everything that wants attention.
func WriteTable(w io.Writer, s Snapshot) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s  %s  version %s  up %s  disk %s free of %s%s\n\n",
		s.Thing, s.Verdict, s.Version, span(s.Time.Sub(s.Started)), size(s.Disk.FreeBytes), size(s.Disk.TotalBytes), fits(s.Disk.Forecast.Days))
	if len(s.Streams) == 0 {
		b.WriteString("No stream is configured for this hub yet.\n")
	} else if err := writeStreams(&b, s); err != nil {
		return err
	}
	writeSentences(&b, s)
	_, err := w.Write(b.Bytes())
	return err
}

func writeStreams(w io.Writer, s Snapshot) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "STREAM\tRECORDER\tSINCE\tLAST FRAME\tBITRATE\tFPS\tLOST\tUPLOADER\tBACKLOG\tPERSISTED\tSPACE")
	for _, st := range s.Streams {
		r, u := st.Recorder, st.Uploader
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%.1f\t%d\t%s\t%s\t%s\t%s\n",
			st.Name, r.State, ago(s.Time, r.Since), ago(s.Time, r.LastFrame), Bitrate(r.BitrateBPS), r.FPS, r.FramesLost,
			u.State, backlog(u), ago(s.Time, u.LastPersisted), space(st.Space))
	}
	return t.Flush()
}

func writeSentences(w io.Writer, s Snapshot) {
	first := true
	line := func(subject, job string, now time.Time, c health.Condition) {
		if first {
			fmt.Fprintln(w)
			first = false
		}
		mark := "!"
		if c.Severity == health.Info {
			mark = "·"
		}
		fmt.Fprintf(w, "%s %s %s: %s (since %s)\n", mark, subject, job, c.Text, span(now.Sub(c.Since)))
	}
	for _, c := range s.Agent {
		line("agent", c.Job, s.Time, c.Condition)
	}
	for _, st := range s.Streams {
		for _, c := range st.Conditions {
			line(st.Name, c.Job, s.Time, c.Condition)
		}
		if text := secretRead(s.Time, st); text != "" {
			fmt.Fprintf(w, "· %s recorder: %s\n", st.Name, text)
		}
		if text := deletions(st); text != "" {
			if first {
				fmt.Fprintln(w)
				first = false
			}
			fmt.Fprintf(w, "· %s retention: %s\n", st.Name, text)
		}
	}
}

// secretRead says how old the address is of a camera that is in trouble.
func secretRead(now time.Time, st Stream) string {
	trouble := slices.ContainsFunc(st.Conditions, func(c Condition) bool { return c.Job == health.JobRecorder && c.Severity == health.Failed })
	switch {
	case !trouble:
		return ""
	case st.Recorder.SecretRead.IsZero():
		return "The camera's secret was never read."
	default:
		return fmt.Sprintf("The camera's secret was last read %s ago; `kvs-edge-agent reload` reads it at once.", span(now.Sub(st.Recorder.SecretRead)))
	}
}

func backlog(u Uploader) string {
	if u.BacklogBytes == 0 {
		return "none"
	}
	text := fmt.Sprintf("%.1f min, %s", u.BacklogSeconds/60, size(u.BacklogBytes))
	if !u.BacklogDone.IsZero() {
		text += ", done at about " + u.BacklogDone.Local().Format("Jan 2 15:04")
	}
	return text
}

func space(s Space) string {
	text := size(s.UsedBytes)
	if s.LimitBytes > 0 {
		text = fmt.Sprintf("%s of %s (%d %%)", text, size(s.LimitBytes), s.UsedBytes*100/s.LimitBytes)
	}
	return text + fits(s.Forecast.Days)
}

// fits says for how long the space does.
func fits(days float64) string {
	switch {
	case days <= 0:
		return ""
	case days < 1:
		return fmt.Sprintf(", holds %.1f h", days*24)
	default:
		return fmt.Sprintf(", holds %.1f days", days)
	}
}

// deletions says what retention is about to delete that is not uploaded.
func deletions(st Stream) string {
	f := st.Space.Forecast
	if f.NextNotUploaded == 0 {
		return ""
	}
	return fmt.Sprintf("the next pass deletes %s, of which %s are not uploaded.", size(f.NextBytes), size(f.NextNotUploaded))
}

// Bitrate writes bit/s as people read them.
func Bitrate(bps int64) string {
	if bps < 1_000_000 {
		return fmt.Sprintf("%d kbit/s", bps/1000)
	}
	return fmt.Sprintf("%.1f Mbit/s", float64(bps)/1e6)
}

func size(n int64) string {
	switch {
	case n < 1_000_000:
		return fmt.Sprintf("%d kB", (n+999)/1000)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	default:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	}
}

func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return span(now.Sub(t))
}

func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}
