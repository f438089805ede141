package socket

import "testing"

func TestRightOfUser(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		uid    int
		groups []uint32
		own    owner
		want   Right
	}{
		{0, nil, owner{998, 997}, Operate},
		{998, []uint32{997}, owner{998, 997}, Operate},
		{1000, nil, owner{998, 997}, Read},
		{1000, []uint32{27, 1000}, owner{998, 997}, Read},
		{1000, []uint32{27, 997, 1000}, owner{998, 997}, Operate},
		{1000, []uint32{997}, owner{998, 997}, Operate},
		{65534, []uint32{65534}, owner{998, 997}, Read},
		{65534, []uint32{65534, 997}, owner{998, 997}, Operate},
		{65534, []uint32{65534}, owner{998, 65534}, Read},
		{0, []uint32{0}, owner{0, 0}, Operate},
		{1000, []uint32{1000}, owner{0, 0}, Read},
		{-1, nil, owner{998, 997}, Read},
	} {
		if got := tc.own.rightOf(tc.uid, tc.groups); got != tc.want {
			t.Errorf("user %d in groups %v, of an agent that runs as %v: %v, want %v", tc.uid, tc.groups, tc.own, got, tc.want)
		}
	}
}
