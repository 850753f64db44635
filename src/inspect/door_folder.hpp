// src/inspect/door_folder.hpp: where the sockets of doors lie; shared by programs and the tool.
//
// $XDG_RUNTIME_DIR/plait, else /run/user/UID/plait, else /tmp/plait-UID: the first that this user owns
// and nobody else may enter. Only the user can make such a folder in any of the three places, and
// nobody else can rename or replace it, since what is above belongs to the user or is sticky.
#pragma once

#include <string>
#include <vector>

namespace plait::inspect {

// Where a door may lie, best first. Whether they exist is another question.
std::vector<std::string> door_folders();
// "" when the folder is there and safe; else what is wrong with it.
std::string why_unsafe(const std::string& folder);
// FOLDER/PID.sock
std::string door_path(const std::string& folder, int pid);

}  // namespace plait::inspect
