// The walls around a database that belongs to somebody else: RocksDB may write where the user
// said, and nowhere else, whatever the database's own files say.
//
// RocksDB opens, truncates, renames and deletes files by names that it reads in the database: in
// the options file, in the manifest, in the folder. A copy of a database names places of the
// original. So each call that changes something goes through here.
//
//   looking   changes nothing at all; calls that would are answered with an error
//   working   creates files below the roots; replaces and deletes only what the database consisted
//             of when it was looked at, and what was created since. The owner's options files and
//             logs stay, as does whatever else lies in the folder.
//
// New files get the owner and the group of the database's file CURRENT, and of the old files' mode,
// those of the same kind, what all of them and the folder have: nobody may read or write them who
// may not do so with the old ones.
//
// A folder that takes the place of one of the roots meanwhile, as when a backup is restored, is
// another's: nothing is changed in it.
//
// Thread safety: as RocksDB's file systems; `work` is called while no other call is under way.

#ifndef KSTONE_COMPACT_OFFLINE_ENCLOSURE_H_
#define KSTONE_COMPACT_OFFLINE_ENCLOSURE_H_

#include <rocksdb/file_system.h>

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace kstone::compact {

class Enclosure final : public ::rocksdb::FileSystemWrapper {
 public:
  // `folder` is the database's, canonical. Begins with looking. With `any_owner` it is no error if
  // new files cannot be given to the owner.
  Enclosure(std::shared_ptr<::rocksdb::FileSystem> target, std::string folder, bool any_owner);
  ~Enclosure() override;

  // Takes the lock of the database, and keeps it until this object ends, also while RocksDB opens
  // and closes the database. Makes the file if there is none.
  ::rocksdb::IOStatus lock();
  bool locked() const { return lock_ != nullptr; }
  // What the database is, right after it was looked at: the folders below which work will be
  // allowed, which are canonical, and the files that it consists of. False if another folder stands
  // in its place than when this object was made.
  bool know(const std::vector<std::string>& roots, const std::set<std::string>& database);
  // From now on work is allowed. False, and it is not, if another folder has taken the place of one
  // that is known.
  bool work();

  // The first thing that was refused while working, or empty.
  std::string refused() const;
  // The first file that RocksDB wanted to be deleted, and that could not be; or empty.
  std::string undeleted() const;

  // Forgets what could not be read, and if `stops_writes`, lets nothing be written once something
  // cannot be. RocksDB 7.8 may go on without the records of an SST that it could not open or read.
  void watch_reads(bool stops_writes);
  // The first SST or blob file that could not be opened or read since then, and why; or empty.
  std::string unreadable() const;

  static const char* kClassName() { return "kstone::compact::Enclosure"; }
  const char* Name() const override { return kClassName(); }

  using Options = ::rocksdb::IOOptions;
  using Debug = ::rocksdb::IODebugContext;
  using FileOptions = ::rocksdb::FileOptions;
  using WritableFile = std::unique_ptr<::rocksdb::FSWritableFile>;

  ::rocksdb::IOStatus NewRandomAccessFile(const std::string& path, const FileOptions& options,
                                          std::unique_ptr<::rocksdb::FSRandomAccessFile>* result,
                                          Debug* debug) override;
  ::rocksdb::IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                                      WritableFile* result, Debug* debug) override;
  ::rocksdb::IOStatus ReopenWritableFile(const std::string& path, const FileOptions& options,
                                         WritableFile* result, Debug* debug) override;
  ::rocksdb::IOStatus ReuseWritableFile(const std::string& path, const std::string& old_path,
                                        const FileOptions& options, WritableFile* result,
                                        Debug* debug) override;
  ::rocksdb::IOStatus NewRandomRWFile(const std::string& path, const FileOptions& options,
                                      std::unique_ptr<::rocksdb::FSRandomRWFile>* result,
                                      Debug* debug) override;
  ::rocksdb::IOStatus NewMemoryMappedFileBuffer(
      const std::string& path, std::unique_ptr<::rocksdb::MemoryMappedFileBuffer>* result) override;
  ::rocksdb::IOStatus NewDirectory(const std::string& path, const Options& options,
                                   std::unique_ptr<::rocksdb::FSDirectory>* result,
                                   Debug* debug) override;
  ::rocksdb::IOStatus DeleteFile(const std::string& path, const Options& options,
                                 Debug* debug) override;
  ::rocksdb::IOStatus Truncate(const std::string& path, std::size_t size, const Options& options,
                               Debug* debug) override;
  ::rocksdb::IOStatus CreateDir(const std::string& path, const Options& options,
                                Debug* debug) override;
  ::rocksdb::IOStatus CreateDirIfMissing(const std::string& path, const Options& options,
                                         Debug* debug) override;
  ::rocksdb::IOStatus DeleteDir(const std::string& path, const Options& options,
                                Debug* debug) override;
  ::rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                                 const Options& options, Debug* debug) override;
  ::rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to,
                               const Options& options, Debug* debug) override;
  ::rocksdb::IOStatus LockFile(const std::string& path, const Options& options,
                               ::rocksdb::FileLock** lock, Debug* debug) override;
  ::rocksdb::IOStatus UnlockFile(::rocksdb::FileLock* lock, const Options& options,
                                 Debug* debug) override;
  ::rocksdb::IOStatus NewLogger(const std::string& path, const Options& options,
                                std::shared_ptr<::rocksdb::Logger>* result, Debug* debug) override;

 private:
  class WatchedReader;
  class WatchedWriter;
  ::rocksdb::IOStatus note_read(const std::string& path, ::rocksdb::IOStatus status) const;
  ::rocksdb::IOStatus may_write() const;
  bool is_manifest_in_use(const std::filesystem::path& file) const;
  ::rocksdb::IOStatus refuse(const std::string& call, const std::string& path,
                             const std::string& why);
  // Where `path` leads, or an error if that is no place to change anything.
  ::rocksdb::IOStatus place(const std::string& call, const std::string& path, std::string& result);
  // Which file or folder stands at a place.
  struct Identity {
    dev_t device = 0;
    ino_t number = 0;
    friend bool operator==(const Identity&, const Identity&) = default;
  };
  static Identity identity_of(const std::string& place);
  mode_t mode_of_new(const std::string& place) const;
  bool is_made(const std::string& place) const;
  bool is_replaceable(const std::string& place) const;
  // Notes it as made here, and gives it to the owner; deletes it again if that cannot be.
  ::rocksdb::IOStatus adopt(const std::string& place, bool folder);

  const std::string folder_;
  const Identity looked_at_;
  const bool any_owner_;
  std::map<std::string, Identity> roots_;
  ::rocksdb::FileLock* lock_ = nullptr;
  bool working_ = false;
  std::map<std::string, Identity> database_;  // what may be deleted, once RocksDB has replaced it
  std::map<std::string, mode_t> modes_;       // of new files, by kind

  mutable std::mutex mutex_;
  std::set<std::string> made_;  // what was made here, and may be written over
  std::string refused_;
  std::string undeleted_;
  mutable std::string unreadable_;
  bool stops_writes_ = false;
};

// Whether `path` is `root` or lies below it. Both are canonical.
bool is_below(const std::filesystem::path& path, const std::filesystem::path& root);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_ENCLOSURE_H_
