package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/audit"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/site"
)

// auditing is a whole agent that records short segments of a camera, uploads them live, and deletes them after an audit. Its audits have
// a clock that can be set ahead.
type auditing struct {
	*rig
	agent *Agent
	ahead atomic.Int64 // ns
}

func newAuditing(t *testing.T) *auditing {
	t.Helper()
	h := &auditing{rig: newRig(t)}
	h.Env[settings.EnvDeleteAfter], h.Env[settings.EnvUploadMode] = "audit", "live"
	h.Env[settings.EnvSegmentDuration] = "1s"
	h.Configure("door", h.Secret("door", h.Camera(fakecam.Options{}).URL()), site.Always, func(c *types.EdgeConfig) {
		c.DeletionConfig = &types.DeletionConfig{EdgeRetentionInHours: aws.Int32(720), DeleteAfterUpload: aws.Bool(true)}
	})
	var err error
	h.agent, err = New(h.Settings(), Options{Version: "test", AuditNow: func() time.Time {
		return time.Now().Add(time.Duration(h.ahead.Load()))
	}})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- h.agent.Run(ctx) }()
	t.Cleanup(func() { cancel(); must(t, <-stopped) })
	return h
}

// uploaded waits for so many segments that are uploaded, and returns the newest of them.
func (h *auditing) uploaded(n int) (list []segment.Info) {
	h.t.Helper()
	testtools.Eventually(h.t, patience, func() error {
		list = slices.Collect(h.agent.store.Walk("door", segment.UploadedWhole))
		if len(list) < n {
			return fmt.Errorf("%d segments are uploaded", len(list))
		}
		return nil
	})
	return list[len(list)-n:]
}

func (h *auditing) there(k segment.Key) bool {
	return slices.ContainsFunc(h.agent.store.Segments("door", time.Time{}, time.Time{}), func(s segment.Info) bool { return s.Key == k })
}

// later sets the clock of the audits ahead by as long as fragments are pending, and has all audited that is due.
func (h *auditing) later() {
	h.ahead.Add(int64(audit.PendingFor + time.Minute))
	h.agent.deletes.Round(h.t.Context())
}

func (h *auditing) awaitGone(what string, k segment.Key) {
	h.t.Helper()
	testtools.Eventually(h.t, patience, func() error {
		if h.there(k) {
			return fmt.Errorf("%s: the segment of %s is still on the hub", what, k.StartTime())
		}
		return nil
	})
}

// stored returns how often the cloud has a fragment.
func (h *auditing) stored(at time.Time) (n int) {
	for _, f := range h.Cloud.Media().Fragments("door") {
		if f.Producer.Equal(at) {
			n++
		}
	}
	return n
}

// condition returns the sentence of a condition of the stream's retention, "" without it.
func (h *auditing) condition(code string) string {
	for _, c := range h.agent.health.Component("door", health.JobRetention).Snapshot().Conditions {
		if c.Code == code {
			return c.Text
		}
	}
	return ""
}

// TestWhatIsUploadedIsDeletedAfterAnAudit: what the cloud has goes; what it lost is sent again, and goes when the cloud has it.
func TestWhatIsUploadedIsDeletedAfterAnAudit(t *testing.T) {
	h := newAuditing(t)
	list := h.uploaded(3)
	h.agent.deletes.Round(t.Context())
	h.agent.retention.Wake()
	if h.agent.deletes.May(list[0].Key) {
		t.Error("a segment may be deleted that ended less than five minutes ago")
	}
	if text := h.agent.policyText("door"); !strings.Contains(text, "deleted when an audit has found them in the cloud") {
		t.Errorf("the policy is %q", text)
	}
	lost := list[1].StartTime()
	n, err := h.Cloud.Media().Lose("door", func(f media.Fragment) bool { return f.Producer.Equal(lost) })
	must(t, err)
	if n != 1 {
		t.Fatalf("the cloud lost %d fragments", n)
	}
	h.later()
	h.awaitGone("found", list[0].Key)
	h.awaitGone("found", list[2].Key)
	if !h.there(list[1].Key) {
		t.Error("a segment was deleted of which the cloud lost a fragment")
	}
	if n := h.stored(lost); n != 1 {
		t.Errorf("the cloud has the fragment that it lost %d times", n)
	}
	h.later()
	h.awaitGone("sent again", list[1].Key)
	for _, s := range list {
		if n := h.stored(s.StartTime()); n != 1 {
			t.Errorf("the cloud has the first fragment of a deleted segment %d times", n)
		}
	}
	if text := h.condition("missing-in-cloud") + h.condition("deleted-without-audit"); text != "" {
		t.Errorf("it says: %s", text)
	}
}

// TestWhereNoAuditIsPossible recordings are deleted as after the acknowledgement, and it is said as long as it is so.
func TestWhereNoAuditIsPossible(t *testing.T) {
	h := newAuditing(t)
	faults := h.Cloud.Faults()
	retention := func(operation types.UpdateDataRetentionOperation) func() {
		return func() {
			testtools.Eventually(t, patience, func() error { // an update before may not be done yet
				door, err := h.User.DescribeStream(t.Context(), &kinesisvideo.DescribeStreamInput{StreamName: aws.String("door")})
				must(t, err)
				_, err = h.User.UpdateDataRetention(t.Context(), &kinesisvideo.UpdateDataRetentionInput{StreamName: aws.String("door"),
					CurrentVersion: door.StreamInfo.Version, Operation: operation, DataRetentionChangeInHours: aws.Int32(24)})
				return err
			})
		}
	}
	for _, row := range []struct {
		name       string
		begin, end func()
		says       string
	}{
		// The address for lists is asked for once, so this is first.
		{"GetDataEndpoint", func() { faults.RefuseOperation("GetDataEndpoint", 403, "AccessDeniedException") },
			func() { faults.RefuseOperation("GetDataEndpoint", 0, "") }, "allow kinesisvideo:GetDataEndpoint on the stream"},
		{"DescribeStream", func() { faults.RefuseOperation("DescribeStream", 403, "AccessDeniedException") },
			func() { faults.RefuseOperation("DescribeStream", 0, "") }, "allow kinesisvideo:DescribeStream on the stream"},
		{"ListFragments", func() { faults.RefuseOperation("ListFragments", 403, "AccessDeniedException") },
			func() { faults.RefuseOperation("ListFragments", 0, "") }, "allow kinesisvideo:ListFragments on the stream"},
		{"retention 0", retention(types.UpdateDataRetentionOperationDecreaseDataRetention),
			retention(types.UpdateDataRetentionOperationIncreaseDataRetention), "DataRetentionInHours is 0"},
	} {
		s := h.uploaded(1)[0]
		row.begin()
		// An audit that the agent began before the fault may end after it: the next one says it.
		testtools.Eventually(t, patience, func() error {
			h.later()
			if text := h.condition("deleted-without-audit"); !strings.Contains(text, row.says) || !strings.Contains(text, "without an audit") {
				return fmt.Errorf("%s: it says %q, want %q", row.name, text, row.says)
			}
			return nil
		})
		h.awaitGone(row.name, s.Key)
		row.end()
		testtools.Eventually(t, patience, func() error {
			h.later()
			if text := h.condition("deleted-without-audit"); text != "" {
				return fmt.Errorf("%s: when it is over it still says %q", row.name, text)
			}
			return nil
		})
	}
}
