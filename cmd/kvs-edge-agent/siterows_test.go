package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/awsplayer"
)

// siteWiseRows are the points of the edge connector's behaviour, by number, each with the tests of what the agent does instead: a package
// below the top of the repository and a function, with the beginning of the name of its case behind a slash.
var siteWiseRows = []struct {
	about string
	tests []string
}{
	1: {"how the hub's asset is named", []string{"internal/settings TestTheHubAssetOfSiteWise"}},
	2: {"the hub's model is checked", []string{"internal/sitewise TestRow2TheHubsModelIsChecked"}},
	3: {"which assets are cameras", []string{"internal/sitewise TestRow3AllHierarchiesAndNoCameras",
		"internal/cloud/sitewise TestRow3AllPagesAreRead"}},
	4: {"names and values of properties", []string{"internal/sitewise TestRow3AllHierarchiesAndNoCameras",
		"internal/sitewise TestValuesOfEachTypeAreText"}},
	5: {"the assets are read again", []string{"internal/sitewise TestRow5ChangesAreInForceWithoutARestart",
		"cmd/kvs-edge-agent TestAHubOfSiteWise"}},
	6: {"the secret", []string{"internal/cloud/secrets TestTheURLIsReadFromEitherKey", "internal/sitewise TestOneWrongCameraStopsNoOther"}},
	7: {"the stream", []string{"internal/sitewise TestRow7StreamsAreCreated", "internal/sitewise TestRow7TwoCamerasWithOneStream"}},
	8: {"what is recorded", []string{"internal/recorder TestEveryFrameIsRecordedOnceAcrossSegments",
		"internal/recorder TestFilesPassToolsOfOthers"}},
	9:  {"schedules", []string{"internal/sitewise TestRow9Schedules", "internal/sitewise TestRow9WindowsUnderWayAndRow16LiveRequests"}},
	10: {"recording for both windows", []string{"internal/sitewise TestRow10RecordingIsForBothWindows"}},
	11: {"no camera waits for another", []string{"cmd/kvs-edge-agent TestRow12ACameraThatFailsConcernsNoOther",
		"cmd/kvs-edge-agent TestSixteenCamerasLoseNothing"}},
	12: {"a camera that fails", []string{"cmd/kvs-edge-agent TestRow12ACameraThatFailsConcernsNoOther"}},
	13: {"sessions that end", []string{"cmd/kvs-edge-agent TestRow13LiveComesBack", "cmd/kvs-edge-agent TestRow13ARangeIsSentOnce"}},
	14: {"notifications", []string{"internal/sitewise/request TestRow14Notifications", "internal/sitewise/request TestRow14ByAMessage"}},
	15: {"the grammar of requests", []string{"internal/sitewise/request TestRow15Grammar"}},
	16: {"live requests", []string{"internal/sitewise/request TestRow16Live", "cmd/kvs-edge-agent TestAHubOfSiteWise"}},
	17: {"ranges", []string{"internal/sitewise/request TestRow17EachRequestIsDoneOnce", "internal/sitewise/request TestRow17Answers",
		"cmd/kvs-edge-agent TestRow17And20ARequestForTheTenthDay"}},
	18: {"what is written back", []string{"internal/sitewise/writeback TestTheRowsOfTheConnector/18a",
		"internal/sitewise/writeback TestTheRowsOfTheConnector/18b", "internal/sitewise/writeback TestTheRowsOfTheConnector/18c",
		"cmd/kvs-edge-agent TestAWSsPlayerFindsWhatTheAgentHas"}},
	19: {"deletion", []string{"cmd/kvs-edge-agent TestRow19DeletionByTheEndOfTheMedia",
		"internal/sitewise/writeback TestTheRowsOfTheConnector/19"}},
	20: {"the limits of SiteWise", []string{"internal/sitewise/writeback TestTheRowsOfTheConnector/20",
		"internal/sitewise/writeback TestSiteWiseTakesNothingOld", "cmd/kvs-edge-agent TestRow17And20ARequestForTheTenthDay"}},
}

// TestEachRowOfTheConnectorHasATest: the tests that the table names exist.
func TestEachRowOfTheConnectorHasATest(t *testing.T) {
	t.Parallel()
	sources := map[string]string{} // by package
	for number, row := range siteWiseRows {
		if number > 0 && len(row.tests) == 0 {
			t.Errorf("row %d has no test", number)
		}
		for _, test := range row.tests {
			dir, name, _ := strings.Cut(test, " ")
			if sources[dir] == "" {
				files, err := filepath.Glob(filepath.Join(repository, dir, "*_test.go"))
				for _, file := range files {
					text, readErr := os.ReadFile(file)
					err = errors.Join(err, readErr)
					sources[dir] += string(text)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			name, part, _ := strings.Cut(name, "/")
			_, body, found := strings.Cut(sources[dir], "\nfunc "+name+"(t *testing.T) {")
			body, _, _ = strings.Cut(body, "\n}\n")
			if !found || part != "" && !strings.Contains(body, `"`+part+`: `) {
				t.Errorf("row %d, %s: there is no test %s", number, row.about, test)
			}
		}
	}
	if n := len(siteWiseRows) - 1; n != 20 {
		t.Errorf("the table has %d rows", n)
	}
}

const siteWiseEnv = "AWS_KVS_EDGE_SITEWISE_HUB_ASSET=" + siteWiseHub

// liveSite has an agent that uploads the camera front live, by its window, and records back.
func liveSite(t *testing.T) *siteWiseWorld {
	t.Helper()
	s := siteWiseSite(t)
	s.put(frontAsset, "LiveStreamingStartTime", "stringValue", "* * * * *")
	s.associate("disassociate", yardAsset)
	s.startAgent(siteWiseEnv)
	s.awaitLive()
	s.awaitRecorded("back-door", 30)
	return s
}

// awaitLive waits until something of front-door is in the cloud that is recorded from now on.
func (s *site) awaitLive() {
	s.t.Helper()
	from := time.Now()
	s.eventually("live video", func() error {
		list := s.cloud.Media().Fragments("front-door")
		for _, f := range list {
			if f.Producer.After(from) {
				return nil
			}
		}
		return fmt.Errorf("none of %d fragments is after %s", len(list), from)
	})
}

// Row 12: a camera that is away, and one that sends nothing any more, are recorded again as soon as they are back, and the process and the
// other camera are not affected.
func TestRow12ACameraThatFailsConcernsNoOther(t *testing.T) {
	t.Parallel()
	s := liveSite(t)
	pid := s.status().PID
	for _, row := range []struct {
		what      string
		fail, end func() error
	}{
		{"away", func() error { unplug(t, s.front); return nil }, func() error { return plug(s.front) }},
		{"silent", func() error { s.front.Stall(); return nil }, func() error { s.front.Resume(); return nil }},
	} {
		if err := row.fail(); err != nil {
			t.Fatal(err)
		}
		s.eventually("the sentence about a camera that is "+row.what, func() error {
			st, err := s.stream("front-door")
			if err == nil && (st.Recorder.State == "recording" || len(st.Conditions) == 0) {
				err = fmt.Errorf("it is %q", st.Recorder.State)
			}
			return err
		})
		if err := row.end(); err != nil {
			t.Fatal(err)
		}
		s.awaitLive()
	}
	s.undisturbed("back-door", s.back)
	if now := s.status().PID; now != pid {
		t.Errorf("the process was %d and is %d", pid, now)
	}
}

// Row 13: live is back after the service ended sessions for their age of 45 minutes, after an outage of the line, and after one of the
// camera. Every frame arrives, and what came twice is little: that whose acknowledgement the outage took.
func TestRow13LiveComesBack(t *testing.T) {
	t.Parallel()
	s := liveSite(t)
	const tooOld = 4003 // the ErrorId of a connection that is older than 45 minutes
	aged := s.cloud.Media().Faults().Inject("front-door", media.ErrorAt(media.AtFragmentStart, tooOld).Times(2))
	if err := aged.Await(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	s.awaitLive()
	if got, _, err := cloudFrames(s.cloud.Media(), "front-door"); err != nil || got.repeated() > 0 {
		t.Errorf("after the end of sessions %d frames came twice, %v", got.repeated(), err)
	}

	s.cloud.Faults().CutOff()
	s.awaitFrames("front-door", 100)
	s.cloud.Faults().Restore()
	s.awaitLive()

	unplug(t, s.front)
	s.eventually("the end of the recording", func() error {
		st, err := s.stream("front-door")
		if err == nil && st.Recorder.State == "recording" {
			err = errors.New("it records")
		}
		return err
	})
	if err := plug(s.front); err != nil {
		t.Fatal(err)
	}
	s.awaitLive()
	unplug(t, s.front)
	inCloud := s.awaitAllInCloud("front-door", sentByCamera(s.front))
	if n := inCloud.repeated(); n > 5*25 {
		t.Errorf("%d frames came twice", n)
	}
}

// Row 13: a range whose sessions the service ends continues where it was: each of its fragments is in the cloud, once.
func TestRow13ARangeIsSentOnce(t *testing.T) {
	t.Parallel()
	s := siteWiseSite(t)
	span := s.past("front-door", time.Now().Add(-20*time.Minute), 5*time.Minute)
	s.startAgent(siteWiseEnv)
	s.awaitRecorded("front-door", 30)
	s.cloud.Media().Faults().Inject("front-door", media.ErrorAt(media.AtFragmentStart, 4003).Skip(5).Times(2))
	request := s.ask(frontAsset, time.UnixMilli(span.Start), time.UnixMilli(span.End))
	if status, details := s.awaitAnswer(request); status != "DONE" || details != "" {
		t.Errorf("the request is %s: %s", status, details)
	}
	seen := map[int64]int{}
	for _, f := range s.cloud.Media().Fragments("front-door") {
		seen[f.Producer.UnixMilli()]++
	}
	for at := span.Start; at < span.End; at += pastFragment.Milliseconds() {
		if n := seen[at]; n != 1 {
			t.Errorf("the fragment at %d is %d times in the cloud", at, n)
		}
	}
	if len(seen) != 20 {
		t.Errorf("%d fragments are in the cloud, asked for were 20", len(seen))
	}
}

// Row 19: media goes when its end is older than the property says, uploaded or not; what only began before stays, as does what is younger.
func TestRow19DeletionByTheEndOfTheMedia(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffprobe")
	s := siteWiseSite(t)
	old := s.past("front-door", time.Now().Add(-70*time.Minute), 5*time.Minute)
	across := s.past("front-door", time.Now().Add(-62*time.Minute), 5*time.Minute) // a segment that ends 57 minutes ago
	s.put(frontAsset, "CaptureStartTime", "stringValue", "-")
	before, err := s.onDisk("front-door")
	if err != nil || !awsplayer.Same(before, []awsplayer.Span{old, across}) {
		t.Fatalf("on the disk is %v, %v", before, err)
	}
	s.startAgent(siteWiseEnv)
	s.eventually("the deletion", func() error {
		have, err := s.onDisk("front-door")
		if err == nil && !awsplayer.Same(have, []awsplayer.Span{across}) {
			err = fmt.Errorf("on the disk is %v, want %v", have, across)
		}
		return err
	})
	if list := s.cloud.Media().Fragments("front-door"); len(list) > 0 {
		t.Errorf("%d fragments were uploaded", len(list))
	}
}

// Rows 17 and 20: a hub that keeps ten days is asked for the tenth. It is uploaded, the answer and the status say that SiteWise takes no
// values of it, and AWS's player is right about what is younger.
func TestRow17And20ARequestForTheTenthDay(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffprobe")
	awsplayer.Need(t, repository)
	s := siteWiseSite(t)
	s.put(frontAsset, "CaptureStartTime", "stringValue", "-")
	s.put(frontAsset, "LocalDataRetentionPeriodInMinutes", "integerValue", 10*24*60)
	const day = 24 * time.Hour
	tenth := s.past("front-door", time.Now().Add(-10*day+2*time.Hour), time.Minute)
	third := s.past("front-door", time.Now().Add(-3*day), time.Minute)
	s.startAgent(siteWiseEnv)
	s.eventually("the stream", func() error { _, err := s.stream("front-door"); return err })

	request := s.ask(frontAsset, time.UnixMilli(tenth.Start), time.UnixMilli(tenth.End))
	status, details := s.awaitAnswer(request)
	if status != "DONE" || !strings.Contains(details, "takes no values that are older than 7 days") {
		t.Errorf("the request is %s: %s", status, details)
	}
	if got := s.inCloud("front-door"); !awsplayer.Same(got, []awsplayer.Span{tenth}) {
		t.Errorf("in the cloud is %v, asked for was %v", got, tenth)
	}
	if have, err := s.onDisk("front-door"); err != nil || !awsplayer.Same(have, []awsplayer.Span{tenth, third}) {
		t.Errorf("on the disk is %v, %v", have, err)
	}
	s.eventually("the sentence in the status", func() error {
		out, _, _ := s.command("status")
		if text := strings.Join(strings.Fields(out), " "); !strings.Contains(text, "SiteWise takes no values of more than 7 days ago") {
			return errors.New(text)
		}
		return nil
	})
	finds := func(view awsplayer.Span, what string, uploads, onHub []awsplayer.Span) {
		s.awaitPlayerOf(what, time.UnixMilli(view.Start).Add(-time.Hour), time.UnixMilli(view.End).Add(time.Hour),
			func() (cloud, disk []awsplayer.Span, err error) { return uploads, onHub, nil })
	}
	hubHas := []awsplayer.Span{third}
	finds(third, "the third day, after the request for the tenth", nil, hubHas)
	finds(tenth, "the tenth day, after the request for it", nil, nil)

	request = s.ask(frontAsset, time.UnixMilli(third.Start), time.UnixMilli(third.End))
	if status, details := s.awaitAnswer(request); status != "DONE" || details != "" {
		t.Errorf("the request for the third day is %s: %s", status, details)
	}
	finds(third, "after the request for the third day", hubHas, hubHas)
	for _, c := range s.status().Agent {
		if strings.HasPrefix(c.Code, "sitewise-write-refused") {
			t.Errorf("SiteWise was asked for what it refuses: %s", c.Text)
		}
	}
	page, err := os.ReadFile(filepath.Join(repository, "docs", "sitewise.md"))
	const says = "SiteWise takes no values that are older than 7 days"
	if err != nil || !strings.Contains(strings.Join(strings.Fields(string(page)), " "), says) {
		t.Errorf("docs/sitewise.md does not say it: %v", err)
	}
}
