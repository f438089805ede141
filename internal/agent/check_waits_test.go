package agent

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
)

// TestACheckNeverHangs has a part whose question no context ends, as to a network disk that is gone.
func TestACheckNeverHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var all findings
		hung := make(chan struct{})
		c := &checker{o: CheckOptions{Report: func(f Finding) { all = append(all, f) }}, ok: true, waits: &waits{}}
		began := time.Now()
		ended := c.within(t.Context(), "disk", "the disk", diskLimit, func(_ context.Context, c *checker) {
			c.settings.Region = "of the part"
			c.good("disk", "half of it")
			defer c.waits.begin("the files of door")()
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

// TestACheckSaysWhatItWaitsFor has a note of each question, and none that stays open.
func TestACheckSaysWhatItWaitsFor(t *testing.T) {
	h := newHouse(t)
	camera := h.camera(fakecam.Options{User: "admin", Pass: "hunter2"})
	h.configure("door", h.secret("door", camera.URL()))
	asked := make(chan string, 1000)
	answered := make(chan string, 1000)
	_, _ = h.check(func(o *CheckOptions) {
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

// TestCheckAndStatusDoNotContradictEachOther when a secret was corrected that the agent has not read since.
func TestCheckAndStatusDoNotContradictEachOther(t *testing.T) {
	h := newHouse(t)
	arn := h.secret("door", "rtsp://127.0.0.1:9/live")
	h.configure("door", arn)
	s := h.service()
	s.await("the camera is not reached", func() bool {
		conditions := s.agent.health.Part("door", "recorder").Snapshot().Conditions
		return len(conditions) > 0
	})
	camera := h.camera(fakecam.Options{})
	h.secret("door", camera.URL())
	all, _ := h.check()
	if s.agent.health.Part("door", "recorder").Snapshot().State != "recording" && !strings.Contains(all.String(),
		"The running agent does not record it yet") {
		t.Errorf("it says\n%s", all)
	}
}
