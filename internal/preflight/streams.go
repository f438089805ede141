package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/arn"
	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/address"
	"github.com/kvs-edge/kvs-edge-agent/internal/clip"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/cost"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

const (
	// frameTimeout is how long a camera that is recorded may go without a frame.
	frameTimeout = 2 * time.Second
	// atOnce is how many cameras are checked at the same time.
	atOnce = 8
)

// checkStreams checks all streams, several at once, and reports them by name.
func (c *checker) checkStreams(ctx context.Context, list []wantedStream) []checkedStream {
	if c.running != nil { // so that status is about the same addresses as this check
		_ = localapi.NewClient(c.settings.Socket).ReadSecrets(ctx) // an agent that has ended since reads them when it begins
	}
	streams := make([]checkedStream, len(list))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, l := range list {
		group.Go(func() error {
			guarded(func() { streams[i] = c.checkStream(ctx, l) }, func(text string) {
				streams[i] = checkedStream{name: l.Name, invalid: true}
				streams[i].add("stream", false, "%s", text)
			})
			return nil
		})
	}
	_ = group.Wait()               // nothing fails: what is wrong is a finding
	named := make(map[string]bool) // each right that is missing once
	for _, s := range streams {
		for _, f := range s.findings {
			if f.right != "" && named[f.right] {
				f.Text = f.again
			}
			named[f.right] = true
			c.report(f)
		}
	}
	return streams
}

func (c *checker) checkStream(ctx context.Context, w wantedStream) checkedStream {
	s := checkedStream{name: w.Name, wanted: w.Stream, place: w.place(), invalid: w.err != nil, namesAge: w.namesAge, share: 1}
	if w.err != nil {
		s.add("configuration", false, "%s", sentence(w.err))
	} else {
		s.share = shareOf(w.Record, c.o.Now())
		s.add("configuration", true, "Valid; it records %.0f %% of the week.", 100*s.share)
	}
	c.checkCamera(ctx, &s)
	if !c.settings.NoCloud {
		c.checkRetention(ctx, &s)
		c.checkTier(ctx, &s)
		c.checkFragments(ctx, &s)
		c.checkStreamRights(ctx, &s)
	}
	return s
}

// checkCamera reads the secret and checks the camera whose URL it holds.
func (c *checker) checkCamera(ctx context.Context, s *checkedStream) {
	if url := s.wanted.Media.URL; !url.Empty() {
		s.add("secret", true, "The stream file holds the URL of the source itself.")
		c.checkSource(ctx, s, url)
		return
	}
	secretARN := s.wanted.Media.SecretARN
	done := c.questions.begin("Secrets Manager, for the secret of stream " + s.name)
	url, err := c.secrets.MediaURI(ctx, secretARN)
	done()
	if err != nil {
		if right := secretRight(err); right != "" {
			s.deny("secret", right, c.withPolicy(sentence(rootFault(err)), err), fmt.Sprintf("The hub's role may not read the secret %s either.",
				secretARN))
		} else {
			s.add("secret", false, "%s", sentence(rootFault(err)))
		}
		return
	}
	s.add("secret", true, "%s holds the URL of the source.", secretARN)
	if name, _ := arn.Parse(secretARN); name.Region != c.settings.Region {
		place, _ := c.aws.Endpoints().Of(endpoint.SecretsManager, name.Region) // it answered
		if place.Setting == endpoint.EnvRegion {                               // any other is that of the hub's region too
			s.add("host", true, "%s: %s (%s of the secret's region).", place.Service.Name, place.Host(), place.Why)
		}
	}
	c.checkSource(ctx, s, url)
}

// checkSource checks the camera or the file that a URL leads to.
func (c *checker) checkSource(ctx context.Context, s *checkedStream, url secret.String) {
	file, source := s.wanted.Media.Kind == desired.Clip, "camera at"
	if file {
		source = "file"
	}
	began := time.Now()
	cameras := c.settings.Camera
	done := c.questions.begin(sourceName(url, s.name))
	var (
		seen accessunit.ProbeResult
		err  error
	)
	if file {
		seen, err = clip.Probe(ctx, url, clip.Options{Directory: c.settings.MediaDirectory})
	} else {
		seen, err = camera.Probe(ctx, url, camera.Options{Transport: cameras.Transport, Roots: cameras.Roots})
	}
	done()
	if err != nil {
		if r := c.recording(ctx, s.name, began); r != nil { // it has no session left for us, perhaps
			s.bitrate = r.BitrateBPS
			s.add("camera", true, "The running agent records it with %.1f frames/s and %s; a second look was not possible.", r.FPS,
				humanize.Bitrate(r.BitrateBPS))
			return
		}
		s.add("camera", false, "%s", s.place.Text(answerFault(err, "the camera", time.Since(began))))
		return
	}
	s.bitrate = seen.BitrateBPS
	text := fmt.Sprintf("The %s %s sends %s, %d×%d, %.1f frames/s, %s, a keyframe every %.1f s",
		source, seen.Host, seen.Codec, seen.Width, seen.Height, seen.FPS, humanize.Bitrate(seen.BitrateBPS), seen.KeyframeInterval.Seconds())
	switch {
	case seen.KeyframeInterval > kvslimit.MaxFragment:
		s.add("camera", false, "%s, but Kinesis Video Streams takes at most %.0f s: set its keyframe (I-frame) interval to 1 to 5 s.", text,
			kvslimit.MaxFragment.Seconds())
	case seen.Damaged:
		s.add("camera", false, "%s, but some of it does not arrive: check the network between camera and hub.", text)
	case c.agentFails(ctx, s.name):
		s.add("camera", true, "%s. The running agent does not record it yet: "+
			"it was asked to read the secret again, and then uses what this check has used.", text)
	default:
		s.add("camera", true, "%s.", text)
	}
}

// sourceName names what a stream's media comes from, without a password.
func sourceName(url secret.String, stream string) string {
	if host := address.HostOf(url); host != "" {
		return "the camera at " + host
	}
	return "the source of stream " + stream
}

// agentFails reports whether the running agent cannot record a stream, by what its status says now.
func (c *checker) agentFails(ctx context.Context, stream string) bool {
	if c.running == nil {
		return false
	}
	snapshot, err := localapi.NewClient(c.settings.Socket).Status(ctx)
	if err != nil {
		return false
	}
	at := slices.IndexFunc(snapshot.Streams, func(s status.Stream) bool { return s.Name == stream })
	return at >= 0 && slices.ContainsFunc(snapshot.Streams[at].Conditions, func(c status.Condition) bool {
		return c.Job == health.JobRecorder && c.Severity == health.Failed
	})
}

// recording returns the status of the running agent's recorder of a stream if a frame came since.
func (c *checker) recording(ctx context.Context, stream string, since time.Time) *status.Recorder {
	if c.running == nil {
		return nil
	}
	for end := time.Now().Add(frameTimeout); time.Now().Before(end); {
		snapshot, err := localapi.NewClient(c.settings.Socket).Status(ctx)
		if err != nil {
			return nil
		}
		for _, s := range snapshot.Streams {
			if s.Name == stream && s.Recorder.LastFrame.After(since) {
				return &s.Recorder
			}
		}
		if backoff.Sleep(ctx, frameTimeout/10) != nil {
			return nil
		}
	}
	return nil
}

func (c *checker) checkRetention(ctx context.Context, s *checkedStream) {
	const check = "retention"
	done := c.questions.begin("Kinesis Video Streams, about stream " + s.name)
	asked := time.Now()
	hours, err := c.kvs.Retention(ctx, s.name)
	done()
	var answer *kvs.RequestError
	switch {
	case kvs.IsMissing(err) && s.wanted.Origin == desired.SiteWise:
		s.add(check, true, "The stream %s does not exist in Kinesis Video Streams yet: the agent creates it, with a retention of %d h; the role "+
			"needs kinesisvideo:CreateStream for that.", s.name, c.settings.SiteWise.RetentionHours)
	case kvs.IsMissing(err):
		s.add(check, false, "The stream %s does not exist in Kinesis Video Streams: create it.", s.name)
	case errors.As(err, &answer) && answer.Meaning.RightMissing():
		c.denyOn(s, check, "look at", answer.Meaning.Permission("kinesisvideo:DescribeStream"))
	case err != nil:
		s.add(check, false, "%s", answerFault(err, "Kinesis Video Streams", time.Since(asked)))
	case hours == 0:
		s.add(check, false, "The stream %s keeps nothing (DataRetentionInHours is 0), so nothing is uploaded: raise it with "+
			"UpdateDataRetention.", s.name)
	default:
		s.add(check, true, "Kinesis Video Streams keeps the stream for %s.", humanize.Count(hours, "hour"))
	}
}

// checkTier names the storage tier of a stream. Nothing depends on it, so nothing about it is wrong: retention reports what
// keeps Kinesis Video Streams from answering.
func (c *checker) checkTier(ctx context.Context, s *checkedStream) {
	const check = "storage tier"
	defer c.questions.begin("Kinesis Video Streams, about the storage tier of stream " + s.name)()
	tier, err := c.kvs.StorageTier(ctx, s.name)
	var answer *kvs.RequestError
	switch {
	case err == nil && tier == cost.Warm:
		s.add(check, true, "Kinesis Video Streams stores the stream in the WARM tier, which charges fragments: `kvs-edge-agent cost` "+
			"compares lengths.")
	case err == nil:
		s.add(check, true, "Kinesis Video Streams stores the stream in the %s tier.", tier)
	case errors.As(err, &answer) && answer.Meaning.RightMissing():
		s.add(check, true, "The hub's role may not read the storage tier of the stream, which nothing needs; "+
			"%s allows it.", answer.Meaning.Permission("kinesisvideo:DescribeStreamStorageConfiguration"))
	}
}

// checkFragments tries what an audit needs. Nothing else depends on it, so nothing about it is wrong.
func (c *checker) checkFragments(ctx context.Context, s *checkedStream) {
	const check = "audit"
	defer c.questions.begin("Kinesis Video Streams, about the fragments of stream " + s.name)()
	now := c.o.Now()
	err := c.kvs.StoredFragments(ctx, s.name, now.Add(-time.Second), now, func([]kvs.StoredFragment) {})
	var answer *kvs.RequestError
	switch {
	case err == nil:
		s.add(check, true, "The hub's role may list the fragments of the stream in the cloud, as audits need.")
	case errors.As(err, &answer) && answer.Meaning.RightMissing() && answer.Operation == "ListFragments":
		s.add(check, true, "The hub's role may not list the fragments of the stream in the cloud, which only audits need; %s allows it.",
			answer.Meaning.Permission("kinesisvideo:ListFragments"))
	}
}

// shareOf is the part of the coming week in which a schedule has windows open.
func shareOf(s desired.Schedule, from time.Time) float64 {
	plan := s.Plan(0)
	const week = 7 * 24 * time.Hour
	end := from.Add(week)
	var open time.Duration
	for at := from; at.Before(end); {
		isOpen, until := plan.At(at, time.Local)
		if until.IsZero() || until.After(end) {
			until = end
		}
		if !until.After(at) {
			until = at.Add(time.Second) // asked in the instant of a change
		}
		if isOpen {
			open += until.Sub(at)
		}
		at = until
	}
	return float64(open) / float64(week)
}
