package cgroup

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/warrenvpn/warren/internal/dirwatch"
)

// Watch calls removed with the name of every group that goes, whoever removes it, until
// ctx ends; "" stands for any. The error tells that the watch has failed, as it does
// while there is no group, and is to be begun again.
func (m *Manager) Watch(ctx context.Context, removed func(group string)) error {
	var dirs []string
	for _, h := range m.hierarchies {
		dirs = append(dirs, h.dirs()...)
	}
	w, err := dirwatch.New(dirs...)
	if err != nil {
		return fmt.Errorf("cgroup: watching groups: %w", err)
	}
	defer w.Close()
	return w.Run(ctx, removed)
}

func (h *unified) dirs() []string { return []string{h.dir("")} }

func (h *legacy) dirs() (list []string) {
	for _, c := range h.names {
		list = append(list, filepath.Join(h.root, c, h.system))
	}
	return list
}
