package uploader

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

var someTags = []mkv.Tag{
	{Name: "kvs-edge-stream", Value: door}, {Name: "kvs-edge-hub", Value: "hub"}, {Name: TagImageGeneration}, {Name: TagNotification},
}

// tagsOf are a stored fragment's tags without the one that ends it.
func tagsOf(f media.Fragment) []media.Tag {
	return slices.DeleteFunc(f.Tags, func(t media.Tag) bool { return t.Name == tagEndOfFragment })
}

// expectTags checks that every stored fragment has exactly these tags, and perhaps the one that ends it.
func (w *rig) expectTags(want []mkv.Tag) {
	w.t.Helper()
	for i, f := range w.service.Fragments(door) {
		if got := tagsOf(f); fmt.Sprint(got) != fmt.Sprint(want) {
			w.t.Errorf("fragment %d has the tags %v, want %v", i, got, want)
		}
	}
}

// Who follows a recording ends each fragment by its tag, so that it is not stored a fragment late.
func TestFragmentsThatMayBeTheLastForAWhileAreEnded(t *testing.T) {
	t.Parallel()
	many := make([]mkv.Tag, kvslimit.Tags)
	for i := range many {
		many[i].Name = fmt.Sprint("tag", i)
	}
	for name, row := range map[string]struct {
		run   func(*rig, *Uploader) (stop func())
		tags  []mkv.Tag
		ended bool
		error int // ErrorId that the first fragment gets
	}{
		"live":                     {(*rig).runLive, someTags, true, 0},
		"live, without tags":       {(*rig).runLive, nil, true, 0},
		"live, without room":       {(*rig).runLive, many, false, 0},
		"live, refused":            {(*rig).runLive, someTags, false, 4009},
		"live, only it, refused":   {(*rig).runLive, nil, false, 4009},
		"oldest first":             {(*rig).run, someTags, true, 0},
		"until nothing is pending": {func(w *rig, u *Uploader) func() { w.drain(u); return func() {} }, someTags, false, 0},
		"one in flight": {func(w *rig, u *Uploader) func() {
			u.o.MaxInFlight = 1
			w.drain(u)
			return func() {}
		}, someTags, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			if row.error != 0 {
				w.service.Faults().Inject(door, media.ErrorAt(media.AtFragmentStart, row.error).Times(1))
			}
			w.record(1, 1)
			u := w.uploader()
			must(t, u.SetTags(row.tags))
			stop := row.run(w, u)
			w.await(1)
			stop()
			f := w.service.Fragments(door)[0]
			ended := len(f.Tags) > 0 && f.Tags[len(f.Tags)-1].Name == tagEndOfFragment
			if want := row.tags; row.error == 0 && fmt.Sprint(tagsOf(f)) != fmt.Sprint(want) || ended != row.ended {
				t.Errorf("the fragment has the tags %v", f.Tags)
			}
		})
	}
}

// The stand-in for the service, which shares no code with CheckTags, refuses the same.
func TestTheServiceRefusesWhatCheckTagsDoes(t *testing.T) {
	t.Parallel()
	many := func(n int) (list []mkv.Tag) {
		for i := range n {
			list = append(list, mkv.Tag{Name: fmt.Sprint("tag", i), Value: "x"})
		}
		return list
	}
	one := func(name, value string) []mkv.Tag { return []mkv.Tag{{Name: name, Value: value}} }
	for _, test := range []struct {
		name string
		tags []mkv.Tag
		good bool
	}{
		{"none", nil, true},
		{"10 tags", many(10), true},
		{"11 tags", many(11), false},
		{"name of 128 bytes", one(strings.Repeat("n", 128), "x"), true},
		{"name of 129 bytes", one(strings.Repeat("n", 129), "x"), false},
		{"name of 65 letters in 130 bytes", one(strings.Repeat("ü", 65), "x"), false},
		{"no name", one("", "x"), false},
		{"value of 256 bytes", one("n", strings.Repeat("v", 256)), true},
		{"value of 257 bytes", one("n", strings.Repeat("v", 257)), false},
		{"value of 129 letters in 258 bytes", one("n", strings.Repeat("ü", 129)), false},
		{"no value", one("n", ""), true},
		{"a name of AWS", one("AWS_KINESISVIDEO_FRAGMENT_NUMBER", "1"), false},
		{"a name that begins so", one("AWSOME", "1"), false},
		{"lower case", one("aws", "1"), true},
		{"images", []mkv.Tag{{Name: TagImageGeneration}, {Name: TagImagePrefix, Value: "door/"}}, true},
		{"notification", one(TagNotification, ""), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if err := CheckTags(test.tags); (err == nil) != test.good {
				t.Errorf("CheckTags: %v", err)
			}
			w := newRig(t, 24, roomy)
			w.record(1, 2)
			u := w.uploader()
			u.tags.current.Store(&tagSet{encoded: mkv.AppendTags(nil, test.tags)}) // not SetTags, which checks
			w.drain(u)
			w.expectAll()
			if stats := w.service.Stats(door); (stats.Errors == 0) != test.good {
				t.Errorf("the service: %+v", stats)
			}
			if test.good {
				w.expectTags(test.tags)
			}
			if err := u.SetTags(test.tags); (err == nil) != test.good {
				t.Errorf("SetTags: %v", err)
			}
		})
	}
}

// awaitUploaded waits until the store says that all is uploaded: the service has it before its acknowledgement comes.
func (w *rig) awaitUploaded() {
	w.t.Helper()
	testtools.Eventually(w.t, patience, func() error {
		for _, s := range w.store.Segments(door, time.Time{}, time.Time{}) {
			if s.State != segment.Uploaded {
				return fmt.Errorf("segment %s is %v", s.ID(), s.State)
			}
		}
		return nil
	})
}

func TestEveryFragmentHasItsTagsOnce(t *testing.T) {
	t.Parallel()
	upload := map[string]func(*rig, *Uploader){
		"oldest first": func(w *rig, u *Uploader) { w.drain(u) },
		"live": func(w *rig, u *Uploader) {
			stop := w.runLive(u)
			w.awaitUploaded()
			stop()
		},
		"on demand": func(w *rig, u *Uploader) {
			must(w.t, u.Range(w.context(), begin, w.next, func(Progress) {}))
		},
		"one by one": func(w *rig, u *Uploader) {
			u.o.MaxSession = time.Nanosecond
			w.drain(u)
		},
		"after an interruption": func(w *rig, u *Uploader) {
			w.service.Faults().Inject(door, media.ResetAt(media.MidFragment).Skip(3).Times(2))
			w.drain(u)
		},
	}
	for name, run := range upload {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			w.record(2, 5)
			u := w.uploader()
			must(t, u.SetTags(someTags))
			run(w, u)
			w.expectAll()
			w.expectTags(someTags)
			w.expectUploaded(0)
		})
	}
}

func TestOtherTagsHoldFromTheNextFragmentOn(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	u := w.uploader()
	must(t, u.SetTags(someTags[:2]))
	stop := w.run(u)
	writer := w.create(640)
	w.fragment(writer, 2*time.Second, 300)
	w.await(1)
	must(t, w.service.AwaitStats(w.context(), door, func(s media.Stats) bool { return s.Tagged == 1 }))
	must(t, u.SetTags(someTags))
	w.fragment(writer, 2*time.Second, 300)
	w.await(2)
	must(t, w.service.AwaitStats(w.context(), door, func(s media.Stats) bool { return s.Tagged == 2 }))
	must(t, u.SetTags(nil))
	w.fragment(writer, 2*time.Second, 300)
	w.await(3)
	must(t, writer.Seal())
	stop()
	for i, want := range [][]mkv.Tag{someTags[:2], someTags, nil} {
		if got := tagsOf(w.service.Fragments(door)[i]); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("fragment %d has %v, want %v", i, got, want)
		}
	}
	if n := w.service.Stats(door).Sessions; n != 1 {
		t.Errorf("%d sessions, want one", n)
	}
}

// What the service refuses because of tags goes without them; no media is lost for metadata.
func TestRefusedTagsCostNoFragment(t *testing.T) {
	t.Parallel()
	for _, id := range []int{4006, 4009} {
		for _, point := range []media.Point{media.BeforeBody, media.AtFragmentStart, media.AfterReceived, media.AfterStored} {
			t.Run(fmt.Sprint(id, " ", point), func(t *testing.T) {
				t.Parallel()
				w := newRig(t, 24, roomy)
				w.record(2, 3)
				w.service.Faults().Inject(door, media.ErrorAt(point, id).Times(1))
				u := w.uploader()
				must(t, u.SetTags(someTags))
				w.drain(u)
				w.expectAll()
				w.expectUploaded(0)
				if n := w.number(health.FragmentsRefused); n != 0 {
					t.Errorf("%d fragments were skipped", n)
				}
				if !w.sawCondition(codeTags, health.SystemError) {
					t.Error("it is not reported that the tags are left out")
				}
				list := w.service.Fragments(door)
				if last := list[len(list)-1]; len(last.Tags) != 0 {
					t.Errorf("refused tags are sent again: %v", last.Tags)
				}
				must(t, u.SetTags(someTags[1:]))
				w.record(1, 2)
				w.drain(u)
				w.expectAll()
				list = w.service.Fragments(door)
				if got := list[len(list)-1].Tags; fmt.Sprint(got) != fmt.Sprint(someTags[1:]) {
					t.Errorf("changed tags are not sent: %v", got)
				}
				for _, c := range w.health.Component(door, health.JobUploader).Snapshot().Conditions {
					t.Errorf("a condition is left: %+v", c)
				}
			})
		}
	}
}

// TestRefusedTagsAreTriedAgain after a minute, then after pauses that grow to a day. The report of them ends when they get through.
func TestRefusedTagsAreTriedAgain(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	now := begin
	u := w.uploader(func(o *Options) { o.Now = func() time.Time { return now } })
	must(t, u.SetTags(someTags))
	refuse := func() { w.service.Faults().Inject(door, media.ErrorAt(media.AtFragmentStart, 4009).Times(1)) }
	upload := func(what string, tagged int, reported bool) {
		t.Helper()
		before := w.service.Stats(door).Tagged
		w.record(1, 2)
		w.drain(u)
		if n := w.service.Stats(door).Tagged - before; n != tagged || w.reports(codeTags) != reported {
			t.Errorf("%s: %d fragments with tags, reported: %v; want %d, %v", what, n, w.reports(codeTags), tagged, reported)
		}
	}
	refuse()
	upload("refused", 0, true)
	upload("at once", 0, true)
	for _, pause := range []time.Duration{time.Minute, 4 * time.Minute, 16 * time.Minute, 64 * time.Minute, 256 * time.Minute,
		1024 * time.Minute, withoutTagsFor, withoutTagsFor} {
		now = now.Add(pause - time.Second)
		upload("before "+pause.String(), 0, true)
		now = now.Add(2 * time.Second)
		refuse()
		upload("refused after "+pause.String(), 0, true)
	}
	now = now.Add(withoutTagsFor + time.Second)
	upload("accepted", 2, false)
	refuse()
	upload("refused again", 0, true)
	now = now.Add(firstWithoutTags + time.Second)
	upload("after a minute again", 2, false)
}

// A fragment that is refused without tags too is to blame itself.
func TestABadFragmentDoesNotCostTheOthersTheirTags(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(1, 6)
	w.service.Faults().Inject(door, media.ErrorAt(media.AtFragmentStart, 4006).Skip(2).Times(2))
	u := w.uploader(func(o *Options) { o.MaxInFlight = 1 })
	must(t, u.SetTags(someTags))
	w.drain(u)
	w.expectAll(w.want[2])
	w.expectUploaded(1)
	w.expectTags(someTags)
}

// GetMedia returns the tags with their fragment; mkvinfo and ffprobe, which are independent of this project, read it.
func TestOtherProgramsReadTheTags(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "mkvinfo", "ffprobe")
	limits := roomy
	limits.GetMediaIdle = 50 * time.Millisecond
	w := newRig(t, 24, limits)
	w.record(1, 3)
	u := w.uploader()
	must(t, u.SetTags(someTags))
	w.drain(u)
	path := filepath.Join(t.TempDir(), "got.mkv")
	w.getMedia(path, 3)
	answer, err := os.ReadFile(path)
	must(t, err)
	const head = "\x1A\x45\xDF\xA3"
	parts := strings.Split(string(answer), head)[1:]
	if len(parts) != 3 {
		t.Fatalf("%d fragments begin with an EBML head, want 3", len(parts))
	}
	want := []string{
		"Name: AWS_KINESISVIDEO_FRAGMENT_NUMBER", "Name: AWS_KINESISVIDEO_SERVER_TIMESTAMP",
		"Name: AWS_KINESISVIDEO_PRODUCER_TIMESTAMP", "Cluster",
	}
	for _, tag := range someTags {
		want = append(want, "Name: "+tag.Name)
	}
	want = append(want, "Name: AWS_KINESISVIDEO_MILLIS_BEHIND_NOW", "Name: AWS_KINESISVIDEO_CONTINUATION_TOKEN")
	for _, part := range parts {
		if got, output := inMKVInfo(t, head+part); !slices.Equal(got, want) {
			t.Errorf("mkvinfo shows\n%s\nwant\n%s\nof\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"), output)
		}
	}
	packets, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "packet=pts", "-of", "csv=p=0", path).Output()
	if n := strings.Count(string(packets), "\n"); err != nil || n != 15 {
		t.Errorf("ffprobe finds %d frames (%v), want 15", n, err)
	}
}

// inMKVInfo lists the Clusters and names of tags that mkvinfo finds.
func inMKVInfo(t *testing.T, media string) (list []string, output []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "part.mkv")
	must(t, os.WriteFile(path, []byte(media), 0o600))
	output, err := exec.Command("mkvinfo", "-v", "--ui-language", "en_US", path).CombinedOutput()
	if err != nil {
		t.Fatalf("mkvinfo: %v\n%s", err, output)
	}
	for line := range strings.Lines(string(output)) {
		if line = strings.TrimSpace(line); line == "|+ Cluster" || strings.Contains(line, "Name: ") {
			list = append(list, strings.TrimLeft(line, "|+ "))
		}
	}
	return list, output
}

// getMedia writes to a file what the service returns for that many fragments.
func (w *rig) getMedia(path string, fragments int) {
	w.t.Helper()
	if n := len(w.service.Fragments(door)); n != fragments {
		w.t.Fatalf("%d fragments are stored, want %d", n, fragments)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	selector := strings.NewReader(`{"StreamName":"door","StartSelector":{"StartSelectorType":"EARLIEST"}}`)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.server.URL+"/getMedia", selector)
	must(w.t, err)
	answer, err := w.server.Client().Do(request)
	must(w.t, err)
	defer func() { must(w.t, answer.Body.Close()) }()
	body, err := io.ReadAll(answer.Body)
	must(w.t, err)
	must(w.t, os.WriteFile(path, body, 0o600))
}

// The documentation states what tags cost on the wire.
func TestTheDocumentationKnowsWhatTagsCost(t *testing.T) {
	t.Parallel()
	tags := []mkv.Tag{{Name: "kvs-edge-stream", Value: "front-door"}, {Name: "kvs-edge-hub", Value: "hub-7"}}
	page, err := os.ReadFile("../../docs/uploading.md")
	must(t, err)
	want := fmt.Sprintf("`front-door` on `hub-7`: %d bytes", len(mkv.AppendTags(nil, tags)))
	for _, want := range []string{want, fmt.Sprintf("fewer than %d tags; %d bytes", kvslimit.Tags, len(endOfFragment))} {
		if !strings.Contains(string(page), want) {
			t.Errorf("docs/uploading.md does not say %q", want)
		}
	}
}
