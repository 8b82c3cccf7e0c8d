// As whom a database is worked on.
//
// A folder that belongs to another user may change under root's hands: a name that was a file is a
// link by the time it is opened. So root becomes the owner of the database before it looks, for
// good, and can do no more to any file than the owner could.
//
// Thread safety: call it before there are other threads.

#ifndef KSTONE_COMPACT_OFFLINE_IDENTITY_H_
#define KSTONE_COMPACT_OFFLINE_IDENTITY_H_

#include <string>

namespace kstone::compact {

// If this is root, and the file CURRENT of `folder` is another user's, the process is that user's
// from now on, with its groups. Throws BadInput if that user may not enter the folder.
void become_owner(const std::string& folder);

// Why root may not work in `folder`, since others can change it meanwhile; empty if it may, or if
// this is not root.
std::string danger_to_root(const std::string& folder);

// Why the file LOCK of `folder` cannot be locked by anybody, or by this user; empty if it can, or
// if there is none.
std::string not_lockable(const std::string& folder);

// Why files cannot be made in `folder`, or empty.
std::string not_writable(const std::string& folder);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_IDENTITY_H_
