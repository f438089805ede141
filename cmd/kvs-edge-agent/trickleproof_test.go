package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// pointsOfARequest are where the agent is killed while it sends a fragment.
var pointsOfARequest = []media.Point{
	media.BeforeResponse, media.BeforeBody, media.AtFragmentStart, media.MidFragment, media.AfterReceived, media.AfterStored,
}

// TestTheTrickleIsKilledAtEachMoment kills the agent repeatedly while it sends a fragment that nobody asked for: no fragment comes twice,
// SiteWise receives no row, and a minute later at the latest the stream has its next fragment.
func TestTheTrickleIsKilledAtEachMoment(t *testing.T) {
	t.Parallel()
	kills := testtools.Proof(t, "trickle", testtools.Sizes[int]{Middle: 1, Long: 5})
	if kills == 0 {
		t.Skip("it takes minutes, and is done in the middle size of the proofs")
	}
	for _, point := range pointsOfARequest {
		t.Run(point.String(), func(t *testing.T) {
			t.Parallel()
			s := siteWiseSite(t)
			s.associate("disassociate", yardAsset)
			for range kills {
				fault := s.cloud.Media().Faults().Inject("front-door", media.BlackHoleAt(point).Times(1))
				s.startAgent(siteWiseEnv, "AWS_KVS_EDGE_SITEWISE_TRICKLE=on")
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				err := fault.Await(ctx, 1)
				cancel()
				if err != nil {
					t.Fatalf("no fragment comes to this point: %v", err)
				}
				if s.marks() == 0 {
					t.Error("a fragment was sent before it was noted")
				}
				s.agent.kill()
				fault.Clear()
			}
			s.nextPicture()
		})
	}
}

// nextPicture starts the agent once more, and waits until the stream has another fragment: no other came meanwhile, and none twice.
func (s *siteWiseWorld) nextPicture() {
	s.t.Helper()
	before := len(s.cloud.Media().Fragments("front-door"))
	began := time.Now()
	s.startAgent(siteWiseEnv, "AWS_KVS_EDGE_SITEWISE_TRICKLE=on")
	s.eventually("another fragment", func() error {
		if n := len(s.cloud.Media().Fragments("front-door")); n <= before {
			return fmt.Errorf("%d fragments are in the cloud", n)
		}
		return nil
	})
	s.t.Logf("%d fragments were there; the next one came after %.1f s", before, time.Since(began).Seconds())
	seen := map[time.Time]bool{}
	for _, f := range s.cloud.Media().Fragments("front-door") {
		if seen[f.Producer] {
			s.t.Errorf("the fragment of %s came twice", f.Producer)
		}
		seen[f.Producer] = true
	}
	if len(seen) != before+1 {
		s.t.Errorf("%d fragments are in the cloud, %d were before", len(seen), before)
	}
	if rows := s.rowsOf(frontAsset, "VideoUploadedTimeRange"); len(rows) > 0 {
		s.t.Errorf("SiteWise has the rows %v", rows)
	}
}
