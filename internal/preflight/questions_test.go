package preflight

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// TestACheckNeverHangs has a part whose question no context ends, as to a network disk that is gone.
func TestACheckNeverHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var all findings
		hung := make(chan struct{})
		c := &checker{o: Options{Report: func(f Finding) { all = append(all, f) }}, ok: true, questions: &questions{}}
		began := time.Now()
		ended := c.within(t.Context(), "disk", "the disk", diskLimit, func(_ context.Context, c *checker) {
			c.settings.Region = "of the part"
			c.good("disk", "half of it")
			defer c.questions.begin("the files of door")()
			<-hung
		})
		if took := time.Since(began); ended || took != diskLimit+limitGrace {
			t.Errorf("ended is %v, after %v", ended, took)
		}
		if want := "disk: This was given up after 2 min, while waiting for the files of door."; c.ok || all.bad() != want || len(all) != 1 {
			t.Errorf("it says %q, want %q", all.String(), want)
		}
		if c.settings.Region != "" {
			t.Error("what an abandoned part learns counts")
		}
		close(hung)

		all = nil
		ended = c.within(t.Context(), "disk", "the disk", diskLimit, func(_ context.Context, c *checker) {
			c.settings.Region = "of the part"
			c.good("disk", "all of it")
		})
		if !ended || c.settings.Region == "" || len(all) != 1 {
			t.Errorf("of a part that ends it says %q", all.String())
		}
	})
}

// TestACheckEndsWithWhoAskedForIt has a part that nothing ends, of which the context does, and one that panics.
func TestACheckEndsWithWhoAskedForIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var all findings
		var parts atomic.Int32
		c := &checker{o: Options{Report: func(f Finding) { all = append(all, f) }, Parts: &parts}, ok: true, questions: &questions{}}
		ctx, disconnect := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, disconnect)
		hung := make(chan struct{})
		began := time.Now()
		ended := c.within(ctx, "disk", "the disk", diskLimit, func(context.Context, *checker) { <-hung })
		if took := time.Since(began); ended || took != time.Second+limitGrace || parts.Load() != 1 {
			t.Errorf("ended is %v, after %v; %d parts run", ended, took, parts.Load())
		}
		close(hung)
		synctest.Wait()
		all = nil
		ended = c.within(t.Context(), "disk", "the disk", diskLimit, func(context.Context, *checker) { panic("planted") })
		want := "disk: This could not be checked, because of an internal error (planted): please report it."
		if !ended || c.ok || all.bad() != want || parts.Load() != 0 {
			t.Errorf("of a part that panics it says %q; %d parts run", all.String(), parts.Load())
		}
	})
}

// TestACheckSaysWhatItWaitsFor has a note of each question, and none that stays open.
func TestACheckSaysWhatItWaitsFor(t *testing.T) {
	h := newRig(t)
	camera := h.Camera(fakecam.Options{User: "admin", Pass: "hunter2"})
	h.Configure("door", h.Secret("door", camera.URL()))
	asked := make(chan string, 1000)
	answered := make(chan string, 1000)
	_, _ = h.check(func(o *Options) {
		o.Waiting = func(what string) func() {
			asked <- what
			return func() { answered <- what }
		}
	})
	close(asked)
	if len(answered) != len(asked) {
		t.Errorf("%d questions have %d answers", len(asked), len(answered))
	}
	var list []string
	for what := range asked {
		list = append(list, what)
	}
	text := strings.Join(list, "\n")
	for _, want := range []string{
		"the files that the settings name", "credentials at 127", "STS at 127", "MQTT at 127", "credentials for the hub",
		"the hub's configurations",
		"Secrets Manager, for the secret of stream door", "the camera at 127.0.0.1:", "about stream door", "the disk with the recordings",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say that it waits for %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "hunter2") {
		t.Error("a password is shown")
	}
}

// TestCheckAndStatusDoNotContradictEachOther when a secret was corrected that the running agent has not read since.
func TestCheckAndStatusDoNotContradictEachOther(t *testing.T) {
	h := newRig(t)
	camera := h.Camera(fakecam.Options{})
	for _, name := range []string{"door", "yard"} {
		h.Configure(name, h.Secret(name, camera.URL()))
	}
	fails := health.Condition{Code: "camera", Severity: health.Failed, Text: "The camera at 127.0.0.1:9 refuses connections."}
	snapshot := status.Snapshot{Streams: []status.Stream{
		{Name: "door", Conditions: []status.Condition{{Job: health.JobRecorder, Condition: fails}}},
		{Name: "yard", Conditions: []status.Condition{{Job: health.JobUploader, Condition: fails}}},
	}}
	listener, err := net.Listen("unix", h.Env[settings.EnvSocket])
	must(t, err)
	answer := func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(snapshot) }
	server := &http.Server{Handler: http.HandlerFunc(answer)}
	go func() { _ = server.Serve(listener) }()
	defer func() { _ = server.Close() }()
	all, ok := h.check()
	var said []string
	for _, f := range all {
		if strings.Contains(f.Text, "The running agent does not record it yet") {
			said = append(said, f.Stream+" "+f.Check)
		}
	}
	if !ok || !slices.Equal(said, []string{"door camera"}) {
		t.Errorf("it says so of %q:\n%s", said, all)
	}
}

// A broker that takes connections and is silent: the sentence has the time that was waited, not the most that it may be.
func TestACheckSaysHowLongItWaited(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = silent.Close() }()
	var says string
	c := &checker{device: &tls.Config{}, questions: &questions{}}
	c.settings.IoT.ThingName, c.settings.IoT.ClientID, c.settings.IoT.DataEndpoint = thing, thing, silent.Addr().String()
	c.o.Report = func(f Finding) { says += f.Text + "\n" }
	began, least := time.Now(), 200*time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), least)
	defer cancel()
	c.checkBroker(ctx)
	took := time.Since(began)
	var waited time.Duration
	if m := regexp.MustCompile(`There was no answer from MQTT at .* within ([0-9.]+) s`).FindStringSubmatch(says); m != nil {
		seconds, _ := strconv.ParseFloat(m[1], 64)
		waited = time.Duration(seconds * float64(time.Second))
	}
	const tenth = 100 * time.Millisecond // of the output
	if waited < least-tenth || waited > took+tenth {
		t.Errorf("after %s check says %s", took, says)
	}
}
